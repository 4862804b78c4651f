import { expected } from '../../errors';
import { elementTypes } from '../elementTypes';
import type { Model, ValueInfo } from '../ir';
import type { ShapeMap } from '../shapes';
import { removeNewlyDead } from './removeNewlyDead';

/**
 * The model with more outputs: so that ONNX Runtime gives the values of inner tensors. Tensors that are outputs
 * already are not added twice; the existing outputs keep their order and come first.
 * ERR_OPTION for a name that no node writes.
 */
export function addOutputs(model: Model, tensorNames: readonly string[], shapes: ShapeMap): Model {
  const present = new Set(model.graph.outputs.map((output) => output.name));
  const added = [...new Set(tensorNames)].filter((name) => !present.has(name));
  if (added.length === 0) return model;
  const outputs = [...model.graph.outputs, ...declare(model, added, shapes)];
  return { ...model, graph: { ...model.graph, outputs } };
}

/**
 * The model that computes these tensors and nothing else, in this order; what only other outputs needed is left
 * out. ERR_OPTION for a name that no node writes.
 */
export function keepOnlyOutputs(model: Model, tensorNames: readonly string[], shapes: ShapeMap): Model {
  const present = new Map(model.graph.outputs.map((output) => [output.name, output]));
  const names = [...new Set(tensorNames)];
  if (names.length === 0) throw expected('ERR_OPTION', 'at least one tensor', 'the outputs to keep', names);
  if (names.length === present.size && names.every((name, index) => model.graph.outputs[index]?.name === name))
    return model;
  const declared = new Map(
    declare(
      model,
      names.filter((name) => !present.has(name)),
      shapes,
    ).map((info) => [info.name, info]),
  );
  const outputs = names.flatMap((name) => present.get(name) ?? declared.get(name) ?? []);
  return { ...model, graph: removeNewlyDead(model.graph, { ...model.graph, outputs }) };
}

function declare(model: Model, names: readonly string[], shapes: ShapeMap): ValueInfo[] {
  const written = new Set(model.graph.nodes.flatMap((node) => node.outputs));
  const types = elementTypes(model.graph);
  return names.map((name) => {
    if (name === '' || !written.has(name))
      throw expected('ERR_OPTION', 'the name of a tensor that a node writes', 'an output', name);
    const info = model.graph.valueInfo.get(name);
    const dataType = types.get(name) ?? 'float32';
    return info ?? { name, dataType: dataType === 'other' ? 'float32' : dataType, shape: shapes.get(name) };
  });
}
