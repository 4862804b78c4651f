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

/** Element-wise operators broadcast by another rule before the first of these; what comes after the last is not known. */
export const SUPPORTED_OPSETS = { first: 7, last: 24 } as const;

interface Unsupported {
  /** What a supported model has. */
  readonly expected: string;
  readonly received: string;
  readonly remedy: string;
}

function findUnsupported(model: Model): Unsupported | undefined {
  const [unknown] = listUnknownDomains(model);
  if (unknown !== undefined) {
    const node = model.graph.nodes.find(({ domain }) => domain === unknown.domain);
    return {
      expected: 'operators of the ONNX standard only',
      received: `${node?.opType ?? 'an operator'} of domain "${unknown.domain}" (node "${unknown.nodes[0] ?? ''}")`,
      remedy: 'Export the model without custom operators, and before any runtime has optimised it.',
    };
  }
  const quantized = findQuantizedNode(model);
  if (quantized !== undefined)
    return {
      expected: 'a floating-point model',
      received: `the quantised operator ${quantized.opType} (node "${quantized.key}")`,
      remedy: 'Compress the floating-point model first and quantise the result.',
    };
  const { first, last } = SUPPORTED_OPSETS;
  const opset = model.opsets.get('') ?? 0;
  if (opset >= first && opset <= last) return undefined;
  return {
    expected: `an operator set from ${first} to ${last}`,
    received: `operator set ${opset}`,
    remedy: `Export the model with an opset version from ${first} to ${last}, or convert it with onnx.version_converter.`,
  };
}

/** Why a model can not be cut at all, as a phrase that names the node; undefined where it can. */
export function describeUnsupported(model: Model): string | undefined {
  const found = findUnsupported(model);
  return found && `only ${found.expected} can be cut, and this is ${found.received}`;
}

/** Throws ERR_MODEL_UNSUPPORTED, naming the node, for custom operators, quantised graphs and other operator sets. */
export function requireSupported(model: Model): void {
  const found = findUnsupported(model);
  if (found === undefined) return;
  throw expected('ERR_MODEL_UNSUPPORTED', found.expected, 'the model', found.received, { remedy: found.remedy });
}
