import { type AugmentationOptions, createAugmentation } from '../../../src/recovery/training/augmentation';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import { codeOf } from '../../support/errors';
import { at, normalized, NORMALIZATION, randomPixels } from './images';

const FORMAT: ImageFormat = { layout: 'NCHW', channels: 3, height: 16, width: 12 };
const COUNT = 6;
const ALL: AugmentationOptions = {
  crop: { padding: 2 },
  flip: 0.5,
  colour: { brightness: 0.4, contrast: 0.4, saturation: 0.4 },
  cutout: 4,
  mixup: 0.2,
  cutmix: 1,
};

function run(options: AugmentationOptions, format = FORMAT, seed = 1, epoch = 0, step = 0) {
  const source = normalized(randomPixels(format, COUNT), format);
  const images = new Float32Array(source.length).fill(NaN);
  const targets = Float32Array.from({ length: COUNT * 2 }, (_, index) => (index % 4 < 2 ? 1 - (index % 2) : index % 2));
  const augmentation = createAugmentation(options, format, NORMALIZATION, seed);
  augmentation.apply(source, targets, { epoch, step }, images);
  return { source, images, targets };
}

test('the same seed, epoch and step give the same batch, whatever was made before', () => {
  const augmentation = createAugmentation(ALL, FORMAT, NORMALIZATION, 1);
  const { source, images, targets } = run(ALL, FORMAT, 1, 2, 3);
  const later = new Float32Array(source.length);
  for (const step of [0, 1, 3]) {
    const laterTargets = run({}).targets;
    augmentation.apply(source, laterTargets, { epoch: 2, step }, later);
    if (step === 3) expect(laterTargets).toEqual(targets);
    else expect(later).not.toEqual(images);
  }
  expect(later).toEqual(images);
  for (const [seed, epoch, step] of [
    [2, 2, 3],
    [1, 3, 3],
    [1, 2, 2],
  ]) {
    expect(run(ALL, FORMAT, seed, epoch, step).images).not.toEqual(images);
  }
});

test('both layouts show the same pictures', () => {
  const { images } = run(ALL);
  const last: ImageFormat = { ...FORMAT, layout: 'NHWC' };
  const length = imageLength(FORMAT);
  const transpose = (values: Float32Array): Float32Array => {
    const result = new Float32Array(values.length);
    for (let image = 0; image < COUNT; image++)
      for (let channel = 0; channel < 3; channel++)
        for (let y = 0; y < FORMAT.height; y++)
          for (let x = 0; x < FORMAT.width; x++)
            result[image * length + at(last, channel, y, x)] = values[image * length + at(FORMAT, channel, y, x)]!;
    return result;
  };
  const output = new Float32Array(images.length);
  const { source } = run({});
  createAugmentation(ALL, last, NORMALIZATION, 1).apply(
    transpose(source),
    run({}).targets,
    { epoch: 0, step: 0 },
    output,
  );
  const wanted = transpose(images);
  expect(wanted.every(Number.isFinite)).toBe(true);
  // The means of contrast add up in another order.
  expect(wanted.every((value, index) => Math.abs(value - output[index]!) < 1e-5)).toBe(true);
});

test('nothing asked for, nothing changed', () => {
  const { source, images } = run({});
  expect(images).toEqual(source);
});

test('a cutout is a square of zeros in every image, and nothing else changes', () => {
  const { source, images } = run({ cutout: 6 });
  const length = imageLength(FORMAT);
  for (let image = 0; image < COUNT; image++) {
    let zeros = 0;
    for (let index = image * length; index < (image + 1) * length; index++) {
      if (images[index] === 0 && source[index] !== 0) zeros++;
      else expect(images[index]).toBe(source[index]);
    }
    // Clipped at the edges to a quarter at most.
    expect(zeros).toBeGreaterThanOrEqual(3 * 9);
    expect(zeros).toBeLessThanOrEqual(3 * 36);
    expect(zeros % 3).toBe(0);
  }
});

test('flips are drawn for each image', () => {
  const { source, images } = run({ flip: 0.5 });
  const length = imageLength(FORMAT);
  const same = Array.from({ length: COUNT }, (_, image) =>
    images
      .subarray(image * length, (image + 1) * length)
      .every((value, index) => value === source[image * length + index]),
  );
  expect(new Set(same)).toEqual(new Set([true, false]));
  const { images: mirrored } = run({ flip: 1 });
  expect(mirrored[at(FORMAT, 2, 5, 0)]).toBe(source[at(FORMAT, 2, 5, 11)]);
});

test('wrong options are refused before any image, wrong pixels with the first batch', () => {
  const make = (options: AugmentationOptions, format = FORMAT, normalization = NORMALIZATION) =>
    codeOf(() => createAugmentation(options, format, normalization, 1));
  expect(make({ cutout: 1.5 })).toBe('ERR_OPTION');
  expect(make({ flip: 2 })).toBe('ERR_OPTION');
  expect(make({ mixup: 0 })).toBe('ERR_OPTION');
  expect(make({ crop: { padding: -1 } })).toBe('ERR_OPTION');
  expect(make({ colour: { contrast: NaN } })).toBe('ERR_OPTION');
  expect(make({}, { ...FORMAT, width: 0 })).toBe('ERR_OPTION');
  expect(make({}, { ...FORMAT, layout: 'CHW' as 'NCHW' })).toBe('ERR_OPTION');
  expect(make({}, FORMAT, { scale: 1, mean: [0], std: [1] })).toBe('ERR_OPTION');
  expect(make({}, FORMAT, { ...NORMALIZATION, std: [1, 0, 1] })).toBe('ERR_OPTION');
  expect(codeOf(() => run({ colour: { brightness: 0.1, white: 1 } }))).toBe('ERR_DATA_MISMATCH');
});
