import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSample } from '../../../src/activations/datasets/decode';
import type { ImageTarget } from '../../../src/activations/datasets/decode';
import { createDataset } from '../../../src/activations/datasets/dataset';
import { openDataset } from '../../../src/activations/datasets/open';
import { renderedDataset } from '../../../src/activations/datasets/rendered';
import type { ImageSource } from '../../../src/activations/datasets/source';
import { python, pythonLacks, sharedFile } from '../support/python';
import { channelsFirst, IDENTITY, png, randomPixels, RGB_INPUT, temporaryFolder } from '../support/images';

/** PIL is what networks were trained with: its pixels are the oracle. */
const noPil = pythonLacks('PIL.Image, numpy');

const target = (width: number, height: number, channels: number): ImageTarget => ({
  width,
  height,
  channels,
  resize: undefined,
});

async function decodeFile(path: string, wanted: ImageTarget): Promise<Uint8Array> {
  return (await decodeSample({ kind: 'encoded', bytes: readFileSync(path) }, wanted, path)) as Uint8Array;
}

describe('pixels are those of PIL', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    folder = await temporaryFolder();
    if (noPil === undefined) python(MAKE_IMAGES, [folder.path]);
  });
  afterAll(() => folder.remove());
  const oracle = (name: string): Uint8Array => readFileSync(join(folder.path, `${name}.raw`));

  test.each([
    ['baseline.jpg', 48, 40],
    ['progressive.jpg', 48, 40],
    ['subsampled.jpg', 47, 39],
    ['grey.jpg', 48, 40],
    ['profile.jpg', 48, 40],
    ['rotated.jpg', 48, 40],
    ['plain.png', 48, 40],
    ['palette.png', 48, 40],
    ['transparent.png', 48, 40],
    ['picture.gif', 48, 40],
    ['picture.tif', 48, 40],
    ['lossless.webp', 48, 40],
  ])('%s, as RGB and as grey', async (name, width, height) => {
    if (noPil !== undefined) return console.log(`skipped: ${noPil}`);
    const path = join(folder.path, name);
    expect(Buffer.compare(await decodeFile(path, target(width, height, 3)), oracle(`${name}.rgb`))).toBe(0);
    expect(Buffer.compare(await decodeFile(path, target(width, height, 1)), oracle(`${name}.grey`))).toBe(0);
  });

  test.each([
    ['large.png', 32, 24],
    ['large.png', 17, 61],
    ['large.jpg', 32, 32],
    ['large.jpg', 150, 150],
    ['plain.png', 80, 64],
    ['plain.png', 48, 33],
    ['grey.jpg', 31, 31],
  ])('%s resized to %i×%i and cut', async (name, width, height) => {
    if (noPil !== undefined) return console.log(`skipped: ${noPil}`);
    const decoded = await decodeFile(join(folder.path, name), target(width, height, 3));
    expect(Buffer.compare(decoded, oracle(`${name}.${width}x${height}`))).toBe(0);
  });

  test('of all 5,000 CIFAR-10 test images', async () => {
    const archive = sharedFile('data/cifar10-test.tar.xz');
    if (archive === undefined) return console.log('skipped: ../shared/data/cifar10-test.tar.xz is missing');
    if (noPil !== undefined) return console.log(`skipped: ${noPil}`);
    const input = { ...RGB_INPUT, layout: 'NHWC' as const, height: 32, width: 32 };
    const dataset = await openDataset({ path: archive, ...IDENTITY }, { input });
    expect(dataset.size).toBe(5000);
    const pixels = Uint8Array.from(await dataset.load(dataset.labels.map((_, index) => index)));
    expect(createHash('sha256').update(pixels).digest('hex')).toBe(python(HASH_ARCHIVE, [archive]).trim());
  }, 60_000);
});

test('"size" resizes first and then cuts the middle out', async () => {
  const pixels = randomPixels(5, 16 * 16 * 3);
  const bytes = await png(pixels, 16, 16, 3);
  const cut = await decodeSample(
    { kind: 'encoded', bytes },
    { ...target(8, 8, 3), resize: { width: 16, height: 16 } },
    'image',
  );
  const middle = Array.from({ length: 8 }, (_, row) => [
    ...pixels.subarray(((row + 4) * 16 + 4) * 3, ((row + 4) * 16 + 12) * 3),
  ]);
  expect([...cut]).toEqual(middle.flat());
  const raw = await decodeSample(
    {
      kind: 'pixels',
      width: 16,
      height: 16,
      channels: 3,
      layout: 'CHW',
      data: Uint8Array.from(channelsFirst(pixels, 3)),
    },
    { ...target(8, 8, 3), resize: { width: 16, height: 16 } },
    'image',
  );
  expect([...raw]).toEqual(middle.flat());
});

describe('a data set from a source', () => {
  const input = { ...RGB_INPUT, height: 32, width: 32 };

  test('normalises bytes of RGB images as torchvision does, unless told otherwise', async () => {
    const images = renderedDataset({ split: 'test', size: 4 });
    const usual = await createDataset(images, { path: 'rendered' }, { input });
    const plain = await createDataset(images, { path: 'rendered', ...IDENTITY }, { input });
    const halves = await createDataset(images, { path: 'rendered', mean: [0.5] }, { input });
    expect(usual.normalization).toEqual({ scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
    expect(halves.normalization).toEqual({ scale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [1, 1, 1] });
    const [normalised, bytes, shifted] = await Promise.all([usual.load([2]), plain.load([2]), halves.load([2])]);
    for (const [index, byte] of bytes.entries()) {
      const channel = Math.floor(index / 1024);
      const { mean, std } = usual.normalization;
      expect(normalised[index]).toBe(Math.fround((byte / 255 - mean[channel]!) / std[channel]!));
      expect(shifted[index]).toBe(Math.fround(byte * (1 / 255) - 0.5));
    }
  });

  test('writes the layout of the input', async () => {
    const images = renderedDataset({ split: 'test', size: 2 });
    const first = await createDataset(images, { path: 'rendered' }, { input });
    const last = await createDataset(images, { path: 'rendered' }, { input: { ...input, layout: 'NHWC' } });
    expect([...(await first.load([1]))]).toEqual(channelsFirst(await last.load([1]), 3));
  });

  test('decodes each sample once while there is room, and again where there is none', async () => {
    const images = renderedDataset({ split: 'test', size: 5 });
    let reads = 0;
    const counting: ImageSource = {
      ...images,
      read: (index) => {
        reads++;
        return images.read(index);
      },
    };
    const readsOfTwoPasses = async (cacheBytes: number): Promise<number> => {
      reads = 0;
      const dataset = await createDataset(counting, { path: 'rendered' }, { input, cacheBytes });
      const first = await dataset.load([0, 1, 2, 3, 4]);
      expect([...(await dataset.load([0, 1, 2, 3, 4]))]).toEqual([...first]);
      return reads;
    };
    expect(await readsOfTwoPasses(2 ** 20)).toBe(5);
    expect(await readsOfTwoPasses(2 * 3072)).toBe(8);
    expect(await readsOfTwoPasses(0)).toBe(10);
  });

  test('limits the samples evenly over the classes', async () => {
    const images = renderedDataset({ split: 'test', size: 100 });
    const sorted: ImageSource = { ...images, labels: images.labels.map((_, index) => Math.floor(index / 10)) };
    const dataset = await createDataset(sorted, { path: 'rendered', limit: 25 }, { input });
    const counts = Array.from({ length: 10 }, (_, label) => dataset.labels.filter((other) => other === label).length);
    expect(counts).toEqual([3, 3, 3, 3, 3, 2, 2, 2, 2, 2]);
    const all = await createDataset(sorted, { path: 'rendered' }, { input });
    expect([...(await dataset.load([3]))]).toEqual([...(await all.load([10]))]);
  });
});

const HASH_ARCHIVE = `
import tarfile, hashlib, sys, io
from PIL import Image
archive = tarfile.open(sys.argv[1])
names = sorted(member.name for member in archive.getmembers() if member.name.endswith('.jpg'))
images = {member.name: archive.extractfile(member).read() for member in archive.getmembers() if member.isfile()}
digest = hashlib.sha256()
for name in names:
    digest.update(Image.open(io.BytesIO(images[name])).convert('RGB').tobytes())
print(digest.hexdigest())
`;

const MAKE_IMAGES = `
import numpy as np, sys
from PIL import Image, ImageCms
folder = sys.argv[1] + '/'
rows, columns = np.mgrid[0:40, 0:48]
random = np.random.RandomState(1)
def picture(rows, columns):
    waves = [127 + 100 * np.sin(rows / (5 + k) + k) * np.cos(columns / (7 - k)) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(waves, -1) + random.normal(0, 9, rows.shape + (3,)), 0, 255).astype(np.uint8))
rgb = picture(rows, columns)
odd = rgb.crop((0, 0, 47, 39))
rgb.save(folder + 'baseline.jpg', quality=90, subsampling=0)
rgb.save(folder + 'progressive.jpg', quality=80, progressive=True)
odd.save(folder + 'subsampled.jpg', quality=75, subsampling=2)
rgb.convert('L').save(folder + 'grey.jpg')
profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
rgb.save(folder + 'profile.jpg', icc_profile=bytes(profile))
exif = Image.Exif(); exif[0x0112] = 6
rgb.save(folder + 'rotated.jpg', exif=exif)
rgb.save(folder + 'plain.png')
rgb.quantize(32).save(folder + 'palette.png')
alpha = Image.fromarray((columns * 5).astype(np.uint8)); clear = rgb.copy(); clear.putalpha(alpha)
clear.save(folder + 'transparent.png')
rgb.quantize(64).save(folder + 'picture.gif')
rgb.save(folder + 'picture.tif')
rgb.save(folder + 'lossless.webp', lossless=True)
names = ['baseline.jpg', 'progressive.jpg', 'subsampled.jpg', 'grey.jpg', 'profile.jpg', 'rotated.jpg', 'plain.png',
         'palette.png', 'transparent.png', 'picture.gif', 'picture.tif', 'lossless.webp']
for name in names:
    image = Image.open(folder + name)
    open(folder + name + '.rgb.raw', 'wb').write(image.convert('RGB').tobytes())
    grey = image if image.mode == 'L' else image.convert('RGB').convert('L')
    open(folder + name + '.grey.raw', 'wb').write(grey.tobytes())
rows, columns = np.mgrid[0:150, 0:203]
large = picture(rows, columns)
large.save(folder + 'large.png')
large.save(folder + 'large.jpg', quality=95)
for name, width, height in [('large.png', 32, 24), ('large.png', 17, 61), ('large.jpg', 32, 32), ('large.jpg', 150, 150),
                            ('plain.png', 80, 64), ('plain.png', 48, 33), ('grey.jpg', 31, 31)]:
    image = Image.open(folder + name).convert('RGB')
    if width * image.height >= height * image.width:
        size = (width, max(height, int(width * image.height / image.width)))
    else:
        size = (max(width, int(height * image.width / image.height)), height)
    image = image.resize(size, Image.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    image = image.crop((left, top, left + width, top + height))
    open(folder + '%s.%dx%d.raw' % (name, width, height), 'wb').write(image.tobytes())
`;
