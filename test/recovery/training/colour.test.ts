import { createRandom } from '../../../src/random';
import { checkColour, checkPixelRange, createColourWriter, drawColour } from '../../../src/recovery/training/colour';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import { codeOf } from '../../support/errors';
import { hasPython, runPython } from '../../support/python';
import { normalized, NORMALIZATION, randomPixels } from './images';

const RGB: ImageFormat = { layout: 'NCHW', channels: 3, height: 8, width: 11 };
const GREY: ImageFormat = { ...RGB, channels: 1 };
const JITTER = { brightness: 0.9, contrast: 0.8, saturation: 1.5 };

const SCRIPT = `
import json, sys, numpy as np, torch, torchvision.transforms.functional as F
folder = sys.argv[1]
change = {'brightness': F.adjust_brightness, 'contrast': F.adjust_contrast, 'saturation': F.adjust_saturation}
out = []
for k, case in enumerate(json.load(open(folder + '/cases.json'))):
    n, c, h, w = len(case['steps']), case['channels'], case['height'], case['width']
    x = torch.from_numpy(np.fromfile(folder + '/x%d' % k, '<f4')) / 255
    x = x.reshape(n, c, h, w) if case['layout'] == 'NCHW' else x.reshape(n, h, w, c).permute(0, 3, 1, 2)
    results = []
    for image, steps in zip(x, case['steps']):
        for step in steps: image = change[step['change']](image, step['factor'])
        image = F.normalize(image.double(), case['mean'], case['std'])
        results.append(image if case['layout'] == 'NCHW' else image.permute(1, 2, 0))
    out.append(torch.stack(results).flatten().tolist())
print(json.dumps(out))
`;

test("colour changes equal torchvision's on pixels, in every order", () => {
  if (!hasPython('torch', 'torchvision', 'numpy')) return;
  const random = createRandom(3);
  const cases = [RGB, { ...RGB, layout: 'NHWC' as const }, GREY].flatMap((format) =>
    [JITTER, { contrast: 0.5 }, { brightness: 0.5, saturation: 0.5 }, { saturation: 0.5 }].map((jitter) => ({
      ...format,
      mean: NORMALIZATION.mean.slice(0, format.channels),
      std: NORMALIZATION.std.slice(0, format.channels),
      steps: Array.from({ length: 40 }, () => drawColour(random, jitter)),
    })),
  );
  const orders = new Set(cases[0]!.steps.map((steps) => steps.map(({ change }) => change).join()));
  expect(orders.size).toBe(6);
  const pixels = cases.map((format) => randomPixels(format, 40));
  const files = Object.fromEntries(pixels.map((values, k) => [`x${k}`, new Uint8Array(values.buffer)]));
  const wanted = runPython(SCRIPT, { ...files, 'cases.json': JSON.stringify(cases) }) as number[][];
  cases.forEach((format, k) => {
    // The same images as bytes of scale 1/255, and as bytes that were never scaled.
    for (const scale of [1 / 255, 1]) {
      const stretch = 255 * scale;
      const normalization = {
        scale,
        mean: format.mean.map((value) => value * stretch),
        std: format.std.map((value) => value * stretch),
      };
      const images = normalized(pixels[k]!, format, normalization);
      const writer = createColourWriter(format, normalization);
      format.steps.forEach((steps, image) => writer.apply(images, image * imageLength(format), steps));
      // torchvision rounds to float32 after every change; values reach 2.5.
      const worst = wanted[k]!.reduce((most, value, index) => Math.max(most, Math.abs(value - images[index]!)), 0);
      expect([k, scale, worst < 3e-6]).toEqual([k, scale, true]);
    }
  });
});

test('white may be another value, and a negative scale turns black and white round', () => {
  const format: ImageFormat = { layout: 'NCHW', channels: 1, height: 1, width: 4 };
  const brighter = [{ change: 'brightness', factor: 2 } as const];
  const floats = Float32Array.of(0, 0.25, 0.5, 0.75);
  createColourWriter(format, { scale: 1, mean: [0], std: [1] }, 1).apply(floats, 0, brighter);
  expect([...floats]).toEqual([0, 0.5, 1, 1]);
  const inverted = Float32Array.of(0, -0.25, -0.5, -0.75);
  createColourWriter(format, { scale: -1, mean: [0], std: [1] }, 1).apply(inverted, 0, brighter);
  expect([...inverted].map((value) => value + 0)).toEqual([0, -0.5, -1, -1]);
});

test('factors are uniform around one and never negative', () => {
  const random = createRandom(4);
  const factors: number[] = [];
  for (let draw = 0; draw < 4000; draw++) {
    for (const { change, factor } of drawColour(random, JITTER)) if (change === 'saturation') factors.push(factor);
  }
  expect(factors).toHaveLength(4000);
  expect(Math.min(...factors)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...factors)).toBeLessThan(2.5);
  expect(Math.max(...factors)).toBeGreaterThan(2.45);
  expect(factors.reduce((sum, factor) => sum + factor, 0) / 4000).toBeCloseTo(1.25, 1);
  expect(drawColour(random, {})).toEqual([]);
});

test('images that are no such pixels are refused', () => {
  expect(codeOf(() => checkColour({ ...RGB, channels: 4 }, JITTER))).toBe('ERR_DATA_MISMATCH');
  expect(codeOf(() => checkColour(RGB, { brightness: -1 }))).toBe('ERR_OPTION');
  expect(codeOf(() => checkColour(RGB, { white: 0 }))).toBe('ERR_OPTION');
  for (const layout of ['NCHW', 'NHWC'] as const) {
    const format = { ...RGB, layout };
    const images = normalized(randomPixels(format, 2), format);
    expect(codeOf(() => checkPixelRange(images, format, NORMALIZATION))).toBe('no error');
    expect(codeOf(() => checkPixelRange(images, format, { ...NORMALIZATION, mean: [0, 0, 0] }))).toBe(
      'ERR_DATA_MISMATCH',
    );
    expect(codeOf(() => checkPixelRange(images, format, NORMALIZATION, 200))).toBe('ERR_DATA_MISMATCH');
  }
});
