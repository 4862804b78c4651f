import { inspect } from '../../src/compress/inspect';
import { parseModel } from '../../src/onnx/load';
import {
  describeUnsupported,
  findQuantizedNode,
  listUnknownDomains,
  requireSupported,
  SUPPORTED_OPSETS,
} from '../../src/onnx/support';
import { codeOf } from '../support/errors';
import { ModelBuilder } from '../support/modelBuilder';

/** A classifier around `middle`, which sees a convolution's output x [N, 4, 8, 8]. */
function classifier(middle: (model: ModelBuilder, x: string) => string, opset = 13): Uint8Array {
  const model = new ModelBuilder({ opset });
  const x = model.conv(model.input('image', ['N', 3, 8, 8]), 3, 4, 1, {}, { name: 'first' });
  const pooled = model.node('Flatten', [model.node('GlobalAveragePool', [middle(model, x)])]);
  model.output(model.gemm(pooled, 4, 5), ['N', 5]);
  return model.bytes();
}

const scalar = (m: ModelBuilder) => m.weights([], [0.1]);

/** What quantisers and optimising runtimes write; the node to be named is called "culprit". */
const REFUSED: readonly (readonly [string, RegExp, (m: ModelBuilder, x: string) => string])[] = [
  [
    'quantise and dequantise (QDQ)',
    /QuantizeLinear \(node "culprit"\)/,
    (m, x) => {
      const zero = m.node('Cast', [m.ints(0)], { to: 2 });
      const quantized = m.node('QuantizeLinear', [x, scalar(m), zero], {}, { name: 'culprit' });
      return m.node('DequantizeLinear', [quantized, scalar(m), zero]);
    },
  ],
  [
    'weights stored as integers, dequantised at run time',
    /DequantizeLinear \(node "culprit"\)/,
    (m, x) => {
      const whole = m.node('Cast', [m.weights([4, 4, 1, 1])], { to: 3 });
      const weight = m.node('DequantizeLinear', [whole, scalar(m)], {}, { name: 'culprit' });
      return m.node('Conv', [x, weight]);
    },
  ],
  [
    'operators on integers',
    /ConvInteger \(node "culprit"\)/,
    (m, x) => {
      const whole = (tensor: string) => m.node('Cast', [tensor], { to: 3 });
      return m.node('ConvInteger', [whole(x), whole(m.weights([4, 4, 1, 1]))], {}, { name: 'culprit' });
    },
  ],
  [
    'dynamic quantisation',
    /DynamicQuantizeLinear \(node "culprit"\)/,
    (m, x) => m.node('DynamicQuantizeLinear', [x], {}, { name: 'culprit' }),
  ],
  [
    'quantised operators',
    /QLinearConv \(node "culprit"\)/,
    (m, x) => m.node('QLinearConv', [x], {}, { name: 'culprit' }),
  ],
  ...['com.microsoft', 'com.microsoft.nchwc', 'ai.onnx.ml', 'acme'].map(
    (domain) =>
      [
        `domain ${domain}`,
        new RegExp(`Special of domain "${domain}" \\(node "culprit"\\)`),
        (m: ModelBuilder, x: string) => {
          m.domain(domain);
          return m.node('Special', [x], {}, { name: 'culprit', domain });
        },
      ] as const,
  ),
];

test.each(REFUSED)('%s: refused, and the node is named', async (_, name, middle) => {
  const bytes = classifier(middle);
  const model = parseModel(bytes);
  expect(codeOf(() => requireSupported(model))).toBe('ERR_MODEL_UNSUPPORTED');
  expect(() => requireSupported(model)).toThrow(name);
  expect(describeUnsupported(model)).toMatch(name);
  const { layers, groups } = await inspect({ bytes });
  expect(layers.length).toBeGreaterThan(0);
  for (const { prunable, reason } of [...layers, ...groups]) {
    expect(prunable).toBe(false);
    expect(reason).toMatch(name);
  }
});

test.each([1, 6, SUPPORTED_OPSETS.last + 1])('operator set %i is refused', async (opset) => {
  const bytes = classifier((_, x) => x, opset);
  expect(codeOf(() => requireSupported(parseModel(bytes)))).toBe('ERR_MODEL_UNSUPPORTED');
  expect(() => requireSupported(parseModel(bytes))).toThrow(`operator set ${opset}`);
  expect((await inspect({ bytes })).groups.every(({ prunable }) => !prunable)).toBe(true);
});

test.each([7, 13, 22, SUPPORTED_OPSETS.last])('operator set %i is taken', async (opset) => {
  const bytes = classifier((m, x) => m.node('Relu', [x]), opset);
  expect(codeOf(() => requireSupported(parseModel(bytes)))).toBe('no error');
  expect(describeUnsupported(parseModel(bytes))).toBeUndefined();
  expect((await inspect({ bytes })).groups.some(({ prunable }) => prunable)).toBe(true);
});

test('nodes of other domains are listed by domain', () => {
  const bytes = classifier((m, x) => {
    m.domain('com.example');
    const special = (input: string, name: string) => m.node('Sharpen', [input], {}, { domain: 'com.example', name });
    return special(special(x, 'one'), 'two');
  });
  expect(listUnknownDomains(parseModel(bytes))).toEqual([{ domain: 'com.example', nodes: ['one', 'two'] }]);
  expect(findQuantizedNode(parseModel(bytes))).toBeUndefined();
});
