import { expected } from '../errors';
import type { Model, Node } from './ir';

/** An operator domain outside the ONNX standard, and the nodes that use it. */
export interface UnknownDomain {
  readonly domain: string;
  readonly nodes: readonly string[];
}

/** Operators of custom domains can not be followed: nothing is known of their shapes and channels. */
export function listUnknownDomains(model: Model): UnknownDomain[] {
  const nodesByDomain = new Map<string, string[]>();
  for (const { domain, key } of model.graph.nodes) {
    if (domain === '') continue;
    const nodes = nodesByDomain.get(domain);
    if (nodes === undefined) nodesByDomain.set(domain, [key]);
    else nodes.push(key);
  }
  return [...nodesByDomain].map(([domain, nodes]) => ({ domain, nodes }));
}

/** The first node that computes with quantised numbers, if any. */
export function findQuantizedNode(model: Model): Node | undefined {
  return model.graph.nodes.find(
    ({ domain, opType }) =>
      domain === '' &&
      (opType.startsWith('QLinear') ||
        opType.endsWith('QuantizeLinear') ||
        opType.endsWith('Integer') ||
        opType === 'DequantizeLinear'),
  );
}

/** Throws ERR_MODEL_UNSUPPORTED, naming the node, for custom operators and quantised graphs. */
export function requireSupported(model: Model): void {
  const [unknown] = listUnknownDomains(model);
  if (unknown !== undefined) {
    const node = model.graph.nodes.find(({ domain }) => domain === unknown.domain);
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'operators of the ONNX standard only',
      'the model',
      `${node?.opType ?? 'an operator'} of domain "${unknown.domain}" (node "${unknown.nodes[0] ?? ''}")`,
      { remedy: 'Export the model without custom operators, and before any runtime has optimised it.' },
    );
  }
  const quantized = findQuantizedNode(model);
  if (quantized !== undefined)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'a floating-point model',
      'compression',
      `the quantised operator ${quantized.opType} (node "${quantized.key}")`,
      { remedy: 'Compress the floating-point model first and quantise the result.' },
    );
}
