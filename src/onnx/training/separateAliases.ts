import { constantTensor } from '../constants';
import type { Model, Tensor } from '../ir';
import { isFloatType } from '../tensor';

/**
 * The same network with a stored tensor of its own for every vector that is an `Identity` of another one.
 *
 * Exporters store equal tensors once and hand them out through Identity nodes: all scales of a network that was never trained,
 * even its scales and running variances, are one tensor of ones. Training tells them apart. Matrices stay shared: that two
 * of them are equal is no accident. The Identity goes, the name stays.
 */
export function separateAliases(model: Model): Model {
  const { graph } = model;
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const separate = new Map<string, Tensor>();
  for (const { opType, domain, outputs: made } of graph.nodes) {
    const name = made[0] ?? '';
    if (opType !== 'Identity' || domain !== '' || outputs.has(name)) continue;
    const tensor = constantTensor(graph, name);
    if (tensor !== undefined && tensor.dims.length <= 1 && isFloatType(tensor.dataType))
      separate.set(name, { ...tensor, name });
  }
  if (separate.size === 0) return model;
  const nodes = graph.nodes.filter(
    ({ opType, outputs: made }) => opType !== 'Identity' || !separate.has(made[0] ?? ''),
  );
  const initializers = new Map([...graph.initializers, ...separate]);
  return { ...model, graph: { ...graph, nodes, initializers } };
}
