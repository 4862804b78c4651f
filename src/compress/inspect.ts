import { throwIfAborted } from '../errors';
import { analyzeChannels } from '../onnx/channels/analyze';
import { measureCost } from '../onnx/cost';
import { findRemovableLayers } from '../onnx/layers/find';
import { inferShapes } from '../onnx/shapes';
import { describeUnsupported } from '../onnx/support';
import type { Shape } from '../onnx/ir';
import type { InspectOptions, InspectResult, ModelSource } from './api';
import { openModel } from './open';

/**
 * What a network is made of, what it costs, and which channels could be removed. Needs no data and runs nothing.
 * Errors: ERR_MODEL_UNREADABLE.
 */
export async function inspect(source: ModelSource, options: InspectOptions = {}): Promise<InspectResult> {
  const model = await openModel(source, options.signal);
  throwIfAborted(options.signal);
  const shapes = inferShapes(model);
  const analysis = analyzeChannels(model, shapes);
  const cost = measureCost(model, shapes);

  const prunable = new Set(analysis.groups.filter((group) => group.prunable).flatMap((group) => group.producers));
  const reasons = new Map<string, string>();
  for (const group of analysis.groups) {
    if (group.reason !== undefined) for (const node of group.producers) reasons.set(node, group.reason);
  }
  for (const { name, reason } of analysis.notCut) reasons.set(name, reason);
  const linear = new Set([...prunable, ...reasons.keys()]);
  const refusal = describeUnsupported(model);

  const first = model.graph.inputs[0];
  return {
    parameters: cost.parameters,
    runningStatistics: cost.runningStatistics,
    macs: cost.macs,
    bytes: cost.bytes,
    opset: model.opsets.get('') ?? 0,
    input: first === undefined ? undefined : { name: first.name, shape: shapeForPeople(shapes.get(first.name)) },
    layers: cost.layers.map((layer) => {
      const cut = refusal === undefined && prunable.has(layer.name);
      const reason =
        refusal ?? reasons.get(layer.name) ?? (linear.has(layer.name) ? undefined : followsOthers(layer.op));
      return { ...layer, prunable: cut, ...(cut || reason === undefined ? {} : { reason }) };
    }),
    groups: analysis.groups.map(({ id, size, members, prunable: cut, reason }) => ({
      id,
      size,
      members: members.map((member) => member.tensor),
      prunable: cut && refusal === undefined,
      ...((refusal ?? reason) === undefined ? {} : { reason: refusal ?? reason }),
    })),
    removable: refusal === undefined ? findRemovableLayers(model, shapes, analysis).layers : [],
  };
}

function followsOthers(op: string): string {
  return `${op} makes no channels of its own: it is cut with the layers it belongs to`;
}

function shapeForPeople(shape: Shape): (number | string)[] {
  return (shape ?? []).map((dimension) => dimension ?? '?');
}
