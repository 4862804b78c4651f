// Which differences between two graphs count as rounding, by the element type of their layers.
import { checkEquivalence } from '../../src/compress/equivalence';
import { cutChannels, listChannelGroups, maskChannels } from '../../src/compress/masking';
import { maskFromScores } from '../../src/compress/channelMasks';
import type { Model } from '../../src/onnx/ir';
import { equivalenceTolerance } from '../../src/onnx/passes/checkEquivalence';
import { toModelBytes } from '../../src/onnx/save';
import { createRandom } from '../../src/random';
import type { ModelBytes } from '../../src/types';
import { ModelBuilder } from '../support/modelBuilder';
import { halfPrecision } from './support/networks';

jest.setTimeout(60_000);

const RUN = { device: 'cpu', threads: 2, samples: 16 } as const;

/** 12 residual blocks of two layers, wide enough for their sums to be taken in blocks. */
function deepNetwork(): Model {
  const b = new ModelBuilder({ seed: 4 });
  const same = { pads: [1, 1, 1, 1] };
  let x = b.conv(b.input('input', ['N', 3, 8, 8]), 3, 48, 3, same);
  for (let block = 0; block < 12; block++) {
    const inner = b.node('Relu', [b.conv(b.node('Relu', [x]), 48, 64, 3, same)]);
    x = b.node('Add', [x, b.conv(inner, 64, 48, 3, same)]);
  }
  b.output(b.conv(x, 48, 10, 3, same), ['N', 10, 8, 8]);
  return b.build();
}

async function randomCut(model: ModelBytes, seed: number): Promise<{ masked: ModelBytes; cut: ModelBytes }> {
  const { uniform } = createRandom(seed);
  const groups = await listChannelGroups(model);
  const prunable = groups.filter((group) => group.prunable);
  const scores = prunable.map(({ id, size }) => [id, Float64Array.from({ length: size }, uniform)] as const);
  const mask = maskFromScores(groups, Object.fromEntries(scores), 0.6);
  return { masked: (await maskChannels(model, mask)).model, cut: (await cutChannels(model, mask)).model };
}

describe('a deep network in float16', () => {
  const model = toModelBytes(halfPrecision(deepNetwork()));

  test('right cuts differ by more than 1e-4, and count as equal', async () => {
    const found = [];
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { masked, cut } = await randomCut(model, seed);
      found.push(await checkEquivalence(masked, cut, { ...RUN, seed }));
    }
    expect(found.map(({ equal }) => equal)).not.toContain(false);
    expect(Math.max(...found.map(({ relativeDifference }) => relativeDifference))).toBeGreaterThan(1e-4);
  });

  test('a cut of other channels does not', async () => {
    const { masked } = await randomCut(model, 1);
    const { cut } = await randomCut(model, 2);
    expect(await checkEquivalence(masked, cut, RUN)).toMatchObject({ equal: false });
  });
});

describe('the tolerance', () => {
  const network = (dataType: 'float32' | 'float16' | 'bfloat16', layers: number): Model => {
    const b = new ModelBuilder();
    let x = b.input('input', ['N', 3, 8, 8], dataType);
    for (let layer = 0; layer < layers; layer++) x = b.node('Relu', [b.conv(x, 3, 3, 1)]);
    b.output(x, ['N', 3, 8, 8], dataType);
    return b.build();
  };

  test.each([
    ['float32', 100, 1e-4],
    ['float16', 3, 2 ** -10 * Math.sqrt(4)],
    ['bfloat16', 8, 2 ** -7 * Math.sqrt(9)],
  ] as const)('%s, %d layers and an output: %d', (dataType, layers, tolerance) => {
    expect(equivalenceTolerance(network(dataType, layers).graph)).toBeCloseTo(tolerance, 12);
  });

  test('follows what Cast says inside the graph', () => {
    const b = new ModelBuilder();
    const half = b.node('Cast', [b.input('input', ['N', 3, 8, 8])], { to: 10 });
    b.output(b.node('Cast', [b.conv(half, 3, 3, 1)], { to: 1 }), ['N', 3, 8, 8]);
    expect(equivalenceTolerance(b.build().graph)).toBe(2 ** -10);
  });
});
