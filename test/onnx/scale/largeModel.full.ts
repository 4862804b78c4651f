import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

import type { Model } from '../../../src/onnx/ir';
import { readModel } from '../../../src/onnx/load';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { serializeModelProto } from '../../../src/onnx/proto/serialize';
import { writeModel } from '../../../src/onnx/save';
import { computedTensor } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { analyze } from '../channels/support';

/** Two dense layers of so many features have 2 · 16,640² · 4 bytes: 2.06 GiB, more than one protobuf message can hold. */
const WIDTH = 16_640;
const LAYER_BYTES = WIDTH * WIDTH * 4;
const NEEDED_DISK_BYTES = 3.5 * LAYER_BYTES;
const NEEDED_MEMORY_BYTES = 6 * 2 ** 30;

/** Column c of every row holds c, column 0 the number of the row: what was kept can be told by looking. */
async function writeWeights(path: string): Promise<void> {
  const row = Float32Array.from({ length: WIDTH }, (_, column) => column);
  const file = createWriteStream(path);
  for (let layer = 0; layer < 2; layer++)
    for (let index = 0; index < WIDTH; index++) {
      row[0] = index;
      if (!file.write(Buffer.from(row.slice().buffer))) await once(file, 'drain');
    }
  file.end();
  await once(file, 'close');
}

/** Image → h0 → h1 → h2 → class scores; the weights between the features lie in weights.bin. */
function largeModel(): Uint8Array {
  const m = new ModelBuilder({ opset: 13 });
  const pooled = m.node('Flatten', [m.node('GlobalAveragePool', [m.input('image', ['N', 3, 8, 8])])]);
  let x = m.gemm(pooled, 3, WIDTH, { outputs: ['h0'] });
  for (const layer of [0, 1]) {
    const unread = () => new Uint8Array(0);
    const weight = m.initializer(computedTensor(`large_${layer}`, [WIDTH, WIDTH], 'float32', { bytes: unread }));
    x = m.node('Gemm', [m.node('Relu', [x]), weight], { transB: 1 }, { outputs: [`h${layer + 1}`] });
  }
  m.output(m.gemm(x, WIDTH, 10), ['N', 10]);
  return serializeModelProto(m.build(), ({ name, byteLength }) => {
    if (!name.startsWith('large_')) return 'inline';
    return { location: 'weights.bin', offset: name === 'large_0' ? 0 : LAYER_BYTES, length: byteLength };
  });
}

/** Some rows of a matrix, each in full. */
function rowsOf(model: Model, name: string, rows: readonly number[]): number[][] {
  const tensor = model.graph.initializers.get(name);
  const columns = tensor?.dims[1] ?? 0;
  const bytes = tensor?.bytes() ?? new Uint8Array();
  return rows.map((row) => {
    const start = row * columns * 4;
    return Array.from(new Float32Array(bytes.slice(start, start + columns * 4).buffer));
  });
}

const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-large-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const { bavail, bsize } = statfsSync(folder);
const lacks =
  bavail * bsize < NEEDED_DISK_BYTES
    ? `${NEEDED_DISK_BYTES} bytes of disk space in ${folder}`
    : totalmem() < NEEDED_MEMORY_BYTES
      ? `${NEEDED_MEMORY_BYTES} bytes of memory`
      : undefined;

if (lacks !== undefined)
  test('a model above 2 GiB is not tried', () => {
    console.info(`not tried: a model above 2 GiB needs ${lacks}`);
    expect(lacks).not.toBe('');
  });
else
  test('a model above 2 GiB is read, cut and written', async () => {
    await writeWeights(join(folder, 'weights.bin'));
    writeFileSync(join(folder, 'large.onnx'), largeModel());
    expect(statSync(join(folder, 'weights.bin')).size).toBeGreaterThan(2 ** 31);

    const model = await readModel(join(folder, 'large.onnx'));
    const analysis = analyze(model);
    expect(analysis.groups.filter(({ prunable }) => prunable).map(({ id }) => id)).toEqual(['h0', 'h1', 'h2']);
    const odd = Array.from({ length: WIDTH / 2 }, (_, index) => 2 * index + 1);
    const even = odd.map((index) => index - 1);
    // Of h1 the even features stay, of h2 the odd ones.
    await writeModel(cutChannels(model, analysis, { h1: odd, h2: even }), join(folder, 'cut.onnx'));

    const data = readdirSync(folder).find((name) => name.startsWith('cut.onnx.') && name.endsWith('.data'));
    expect(statSync(join(folder, data ?? '')).size).toBeGreaterThan(0.75 * LAYER_BYTES - 1);
    const cut = await readModel(join(folder, 'cut.onnx'));
    expect(cut.graph.initializers.get('large_0')?.dims).toEqual([WIDTH / 2, WIDTH]);
    expect(cut.graph.initializers.get('large_1')?.dims).toEqual([WIDTH / 2, WIDTH / 2]);
    const whole = Array.from({ length: WIDTH }, (_, column) => column);
    const [first, last] = rowsOf(cut, 'large_0', [0, WIDTH / 2 - 1]);
    expect(first).toEqual(whole);
    expect(last).toEqual([WIDTH - 2, ...whole.slice(1)]);
    const [firstOfNext, lastOfNext] = rowsOf(cut, 'large_1', [0, WIDTH / 2 - 1]);
    expect(firstOfNext).toEqual([1, ...even.slice(1)]);
    expect(lastOfNext).toEqual([WIDTH - 1, ...even.slice(1)]);
  }, 600_000);
