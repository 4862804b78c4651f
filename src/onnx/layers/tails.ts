import { isSieveError } from '../../errors';
import { intAttribute, intsAttribute } from '../attributes';
import { constantValue } from '../constants';
import { findCutPoints } from '../cutPoints';
import { graphIndex } from '../graphIndex';
import { findLogits } from '../inputs';
import type { Node, Shape } from '../ir';
import { isLinearLayer, isSameShape } from './dataFlow';
import type { GraphView } from './graphView';
import { outlineOfTail } from './outline';
import type { Candidate, TailEdit } from './types';

/**
 * Tails of a classifier: what lies between a cut point with channels and the head (pooling and classifier). The old
 * head fits where the shapes agree, or where it pools whatever height and width away and the channels agree.
 */
export function tails(view: GraphView): Candidate[] {
  const { model, shapes, flow } = view;
  const logits = logitsOf(view);
  const [input] = model.graph.inputs;
  if (logits === undefined || input === undefined) return [];
  const features = findCutPoints(model.graph, input.name, logits.name).filter(
    (tensor) => tensor !== input.name && tensor !== logits.name && isFeatureMap(tensor, view),
  );
  const headInput = features.at(-1);
  if (headInput === undefined) return [];
  const layersInHead = flow.between(headInput, logits.name).filter((node) => isLinearLayer(node, flow)).length;
  return features.flatMap((tensor): Candidate[] => {
    if (tensor === headInput && layersInHead < 2) return [];
    const inputs = shapes.get(tensor)?.[1];
    if (typeof inputs !== 'number') return [];
    const fits = tensor !== headInput && fitsHead(tensor, headInput, view);
    const edit: TailEdit = { kind: 'tail', tensor, headInput, logits: logits.name };
    return [
      {
        kind: 'tail',
        name: tensor,
        edit,
        outline: outlineOfTail(model.graph, edit, fits),
        head: { inputs, outputs: logits.classes, fits },
        ...(fits
          ? {}
          : { remark: `needs a new head: a linear layer from ${inputs} channels to ${logits.classes} classes` }),
      },
    ];
  });
}

function logitsOf({ model, shapes }: GraphView): { readonly name: string; readonly classes: number } | undefined {
  try {
    const { beforeSoftmax: name, classes } = findLogits(model, shapes);
    const isVector = shapes.get(name)?.length === 2;
    return isVector && graphIndex(model.graph).producers.get(name)?.outputs.length === 1
      ? { name, classes }
      : undefined;
  } catch (error) {
    if (isSieveError(error) && error.code === 'ERR_MODEL_UNSUPPORTED') return undefined;
    throw error;
  }
}

/** [N, C, H, W] with channels on axis 1, not yet pooled to a single position, from a node that writes nothing else. */
function isFeatureMap(tensor: string, { model, shapes, membersOf }: GraphView): boolean {
  const shape = shapes.get(tensor);
  if (shape?.length !== 4 || shape.slice(2).every((size) => size === 1)) return false;
  const isOnlyOutput = graphIndex(model.graph).producers.get(tensor)?.outputs.length === 1;
  return isOnlyOutput && membersOf(tensor)[0]?.member.axis === 1;
}

function fitsHead(tensor: string, headInput: string, view: GraphView): boolean {
  const { model, shapes } = view;
  const [own, old] = [shapes.get(tensor), shapes.get(headInput)];
  if (isSameShape(own, old)) return true;
  const isOutput = graphIndex(model.graph).outputs.has(headInput);
  if (own === undefined || old === undefined || own[1] !== old[1] || isOutput) return false;
  return (graphIndex(model.graph).consumers.get(headInput) ?? []).every((node) => isGlobalPool(node, own, view));
}

/** Whether a node makes one value a channel of a feature map of any size. */
export function isGlobalPool(node: Node, shape: Shape, { model }: Pick<GraphView, 'model'>): boolean {
  if (node.domain !== '') return false;
  if (node.opType === 'GlobalAveragePool' || node.opType === 'GlobalMaxPool') return true;
  if (!['ReduceMean', 'ReduceMax', 'ReduceSum'].includes(node.opType)) return false;
  const axes = intsAttribute(node, 'axes') ?? constantValue(model.graph, node.inputs[1] ?? '')?.values;
  const rank = shape?.length ?? 0;
  const normalized = axes?.map((axis) => (axis < 0 ? axis + rank : axis)).sort();
  return normalized?.join() === '2,3' && intAttribute(node, 'noop_with_empty_axes', 0) === 0;
}
