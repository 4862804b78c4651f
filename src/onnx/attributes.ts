import { expected } from '../errors';
import type { Attribute, Node, Tensor } from './ir';

/**
 * Attribute getters. An absent attribute gives the default; one of another kind than the operator has is an
 * invalid model and throws ERR_MODEL_UNREADABLE.
 */
export function intAttribute(node: Node, name: string): number | undefined;
export function intAttribute(node: Node, name: string, fallback: number): number;
export function intAttribute(node: Node, name: string, fallback?: number): number | undefined {
  return valueOf(node, name, 'int') ?? fallback;
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined;
export function intsAttribute(node: Node, name: string, fallback: readonly number[]): readonly number[];
export function intsAttribute(node: Node, name: string, fallback?: readonly number[]): readonly number[] | undefined {
  return valueOf(node, name, 'ints') ?? fallback;
}

export function floatAttribute(node: Node, name: string): number | undefined;
export function floatAttribute(node: Node, name: string, fallback: number): number;
export function floatAttribute(node: Node, name: string, fallback?: number): number | undefined {
  return valueOf(node, name, 'float') ?? fallback;
}

export function floatsAttribute(node: Node, name: string): readonly number[] | undefined {
  return valueOf(node, name, 'floats');
}

export function stringAttribute(node: Node, name: string): string | undefined;
export function stringAttribute(node: Node, name: string, fallback: string): string;
export function stringAttribute(node: Node, name: string, fallback?: string): string | undefined {
  return valueOf(node, name, 'string') ?? fallback;
}

export function tensorAttribute(node: Node, name: string): Tensor | undefined {
  return valueOf(node, name, 'tensor');
}

/** The node with one attribute set, or removed where `attribute` is undefined. */
export function withAttribute(node: Node, name: string, attribute: Attribute | undefined): Node {
  const attributes = new Map(node.attributes);
  if (attribute === undefined) attributes.delete(name);
  else attributes.set(name, attribute);
  return { ...node, attributes };
}

type PlainAttribute = Exclude<Attribute, { kind: 'opaque' }>;
type ValueOfKind<K extends PlainAttribute['kind']> = Extract<PlainAttribute, { readonly kind: K }>['value'];

function valueOf<K extends PlainAttribute['kind']>(node: Node, name: string, kind: K): ValueOfKind<K> | undefined {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return undefined;
  if (attribute.kind !== kind)
    throw expected(
      'ERR_MODEL_UNREADABLE',
      `an attribute of kind ${kind}`,
      `"${name}" of ${node.opType} node "${node.key}"`,
      attribute.kind === 'opaque' ? attribute.type : attribute.kind,
    );
  return attribute.value as unknown as ValueOfKind<K> | undefined;
}
