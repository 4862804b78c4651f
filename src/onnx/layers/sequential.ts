import { FINISHING } from '../cutPoints';
import { graphIndex } from '../graphIndex';
import type { Node } from '../ir';
import { describeShape, isSameShape, linearInput, type DataFlow } from './dataFlow';
import type { GraphView } from './graphView';
import { outlineOfReplacement } from './outline';
import type { Candidate, ReplaceEdit } from './types';

/**
 * Every linear layer, with the normalisation and activation that only it feeds. It is removable where what it gives has
 * the shape of what it reads.
 */
export function sequentialLayers({ model, shapes, flow }: GraphView): Candidate[] {
  return model.graph.nodes.flatMap((node): Candidate[] => {
    const input = linearInput(node, flow);
    if (input === undefined) return [];
    const output = finishedOutput(node, model.graph, flow);
    const layer = { kind: 'sequential', name: node.key } as const;
    const [before, after] = [shapes.get(input), shapes.get(output)];
    if (isSameShape(before, after)) {
      const edit: ReplaceEdit = { kind: 'replace', tensor: output, by: input, silenced: output };
      const last = graphIndex(model.graph).producers.get(output)?.key;
      const detail = last === undefined || last === node.key ? '' : `..${last}`;
      return [{ ...layer, detail, edit, outline: outlineOfReplacement(model.graph, edit) }];
    }
    return [{ ...layer, reason: `it changes the shape: ${describeShape(before)} becomes ${describeShape(after)}` }];
  });
}

/** Conv → BatchNormalization → Relu: the last tensor of what belongs to a layer, also where its activation is a diamond. */
function finishedOutput(layer: Node, graph: GraphView['model']['graph'], flow: DataFlow): string {
  const { producers } = graphIndex(graph);
  let output = layer.outputs[0] ?? '';
  for (;;) {
    const next: string | undefined = flow.exitsOf(output).find((exit) => {
      const node = producers.get(exit);
      return node?.outputs.length === 1 && FINISHING.has(node.opType) && isFinish(output, exit, graph, flow);
    });
    if (next === undefined) return output;
    output = next;
  }
}

/** Whether all that reads `entry` is element-wise, and ends in `exit`. */
function isFinish(entry: string, exit: string, graph: GraphView['model']['graph'], flow: DataFlow): boolean {
  const { consumers, outputs } = graphIndex(graph);
  const nodes = flow.between(entry, exit);
  const within = new Set(nodes);
  const inner = [entry, ...nodes.flatMap((node) => node.outputs)].filter((tensor) => tensor !== exit);
  return (
    nodes.every((node) => node.domain === '' && FINISHING.has(node.opType)) &&
    inner.every((tensor) => !outputs.has(tensor) && (consumers.get(tensor) ?? []).every((node) => within.has(node)))
  );
}
