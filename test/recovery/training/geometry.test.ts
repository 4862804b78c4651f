import { createRandom } from '../../../src/random';
import {
  checkGeometry,
  createViewWriter,
  drawBox,
  drawView,
  forEachRun,
} from '../../../src/recovery/training/geometry';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import { codeOf } from '../../support/errors';
import { hasPython, runPython } from '../../support/python';
import { at, normalized, NORMALIZATION, randomPixels } from './images';

const FORMATS: ImageFormat[] = (['NCHW', 'NHWC'] as const).flatMap((layout) => [
  { layout, channels: 3, height: 6, width: 9 },
  { layout, channels: 1, height: 5, width: 4 },
]);
const channelsOf = ({ channels }: ImageFormat) => ({
  ...NORMALIZATION,
  mean: NORMALIZATION.mean.slice(0, channels),
  std: NORMALIZATION.std.slice(0, channels),
});

// torchvision pads the PIXELS, crops, flips, and normalises then.
const SCRIPT = `
import json, sys, numpy as np, torch, torchvision.transforms.functional as F
folder = sys.argv[1]
out = []
for k, case in enumerate(json.load(open(folder + '/cases.json'))):
    n, c, h, w, p = case['n'], case['channels'], case['height'], case['width'], case['padding']
    x = torch.from_numpy(np.fromfile(folder + '/x%d' % k, '<f4'))
    x = x.reshape(n, c, h, w) if case['layout'] == 'NCHW' else x.reshape(n, h, w, c).permute(0, 3, 1, 2)
    results = []
    for image, view in zip(x, case['views']):
        y = F.pad(image, [p] * 4, 0, 'reflect' if case['fill'] == 'reflect' else 'constant')
        y = F.crop(y, view['top'] + p, view['left'] + p, h, w)
        if view['flipped']: y = F.hflip(y)
        y = F.normalize(y.double() * case['scale'], case['mean'], case['std'])
        results.append(y if case['layout'] == 'NCHW' else y.permute(1, 2, 0))
    out.append(torch.stack(results).flatten().tolist())
print(json.dumps(out))
`;

test("crops and flips equal torchvision's on pixels", () => {
  if (!hasPython('torch', 'torchvision', 'numpy')) return;
  const random = createRandom(5);
  const cases = FORMATS.flatMap((format) =>
    (['black', 'reflect'] as const).map((fill) => {
      const crop = { padding: 3, fill };
      const views = Array.from({ length: 24 }, () => drawView(random, crop, 0.5));
      return { ...format, ...channelsOf(format), n: views.length, fill, padding: 3, views };
    }),
  );
  const pixels = cases.map((format) => randomPixels(format, format.n));
  const files = Object.fromEntries(pixels.map((values, k) => [`x${k}`, new Uint8Array(values.buffer)]));
  const wanted = runPython(SCRIPT, { ...files, 'cases.json': JSON.stringify(cases) }) as number[][];
  cases.forEach((format, k) => {
    const source = normalized(pixels[k]!, format, format);
    const output = new Float32Array(source.length).fill(NaN);
    const writer = createViewWriter(format, format, format.fill);
    const length = imageLength(format);
    format.views.forEach((view, image) => writer.write(source, image * length, output, image * length, view));
    expect(wanted[k]).toHaveLength(output.length);
    // Both are the same pixels: only the rounding of the normalised float32 differs.
    const worst = wanted[k]!.reduce((most, value, index) => Math.max(most, Math.abs(value - output[index]!)), 0);
    expect(worst).toBeLessThan(1e-6);
  });
});

test('views cover every offset and both directions evenly', () => {
  const random = createRandom(2);
  const seen = new Map<string, number>();
  for (let draw = 0; draw < 9000; draw++) {
    const { top, left, flipped } = drawView(random, { padding: 1 }, 0.5);
    const key = `${top} ${left} ${flipped}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  expect(seen.size).toBe(18);
  // 500 each, standard deviation 22.
  for (const count of seen.values()) expect(Math.abs(count - 500)).toBeLessThan(110);
});

test('boxes stay within the image, and the runs of a box are its pixels', () => {
  const random = createRandom(8);
  for (const format of FORMATS) {
    const length = imageLength(format);
    for (let draw = 0; draw < 200; draw++) {
      const box = drawBox(random, format, random.integer(format.height + 1), random.integer(format.width + 1));
      expect(box.top).toBeGreaterThanOrEqual(0);
      expect(box.bottom).toBeLessThanOrEqual(format.height);
      expect(box.top).toBeLessThanOrEqual(box.bottom);
      expect(box.left).toBeLessThanOrEqual(box.right);
      const marks = new Uint8Array(3 * length);
      forEachRun(format, 1, box, (start, run) => marks.fill(1, start, start + run));
      const wanted = new Uint8Array(3 * length);
      for (let y = box.top; y < box.bottom; y++)
        for (let x = box.left; x < box.right; x++)
          for (let channel = 0; channel < format.channels; channel++) wanted[length + at(format, channel, y, x)] = 1;
      expect(marks).toEqual(wanted);
    }
  }
});

test('options outside their range are refused', () => {
  const format = FORMATS[0]!;
  for (const padding of [-1, 0.5, NaN]) expect(codeOf(() => checkGeometry(format, { padding }, 0))).toBe('ERR_OPTION');
  for (const flip of [-0.1, 1.1, NaN]) expect(codeOf(() => checkGeometry(format, undefined, flip))).toBe('ERR_OPTION');
  expect(codeOf(() => checkGeometry(format, { padding: 6, fill: 'reflect' }, 0))).toBe('ERR_OPTION');
  expect(codeOf(() => checkGeometry(format, { padding: 5, fill: 'reflect' }, 1))).toBe('no error');
  expect(codeOf(() => checkGeometry(format, { padding: 60 }, undefined))).toBe('no error');
  expect(codeOf(() => checkGeometry(format, { padding: 1, fill: 'white' as 'black' }, 0))).toBe('ERR_OPTION');
});
