import type { Node } from '../ir';
import type { GraphView } from './graphView';
import { isLinearLayer, isSameShape } from './dataFlow';
import { outlineOfReplacement } from './outline';
import type { Candidate, ReplaceEdit } from './types';

interface Side {
  readonly tensor: string;
  readonly linearLayers: number;
}

/**
 * Residual blocks: an Add (or a Sum of two) whose sides start from one tensor. The side with fewer linear layers is the
 * shortcut; it stays, and the other side goes.
 */
export function residualBlocks(view: GraphView): Candidate[] {
  return view.model.graph.nodes.flatMap((node) => candidateAt(node, view) ?? []);
}

function candidateAt(node: Node, { model, flow, shapes }: GraphView): Candidate | undefined {
  const [first = '', second = ''] = node.inputs;
  const [output = ''] = node.outputs;
  const joins = node.domain === '' && (node.opType === 'Add' || node.opType === 'Sum') && node.inputs.length === 2;
  if (!joins || first === second || !flow.varies(first) || !flow.varies(second)) return undefined;
  const entry = flow.entryOf(output);
  if (entry === undefined) return undefined;
  const sideOf = (tensor: string): Side => ({
    tensor,
    linearLayers: flow.between(entry, tensor).filter((inner) => isLinearLayer(inner, flow)).length,
  });
  const [shortcut, branch] = [sideOf(first), sideOf(second)].sort(
    (left, right) => left.linearLayers - right.linearLayers,
  ) as [Side, Side];
  if (branch.linearLayers === 0) return undefined;
  const layer = { kind: 'residual-block', name: node.key } as const;
  if (shortcut.linearLayers === branch.linearLayers)
    return { ...layer, reason: 'both sides of the sum have equally many layers, so neither is a shortcut' };
  if (!isSameShape(shapes.get(shortcut.tensor), shapes.get(output)))
    return { ...layer, reason: 'the shortcut alone has another shape than the sum, or one that is not known' };
  const edit: ReplaceEdit = { kind: 'replace', tensor: output, by: shortcut.tensor, silenced: branch.tensor };
  const detail = `#${node.inputs.indexOf(branch.tensor)}`;
  const outline = outlineOfReplacement(model.graph, edit);
  return { ...layer, detail, edit, outline, remark: remarkOn(shortcut, entry) };
}

function remarkOn(shortcut: Side, entry: string): string | undefined {
  if (shortcut.linearLayers > 0) return 'its shortcut is a projection, which stays: only the residual branch goes';
  return shortcut.tensor === entry ? undefined : 'its shortcut changes the tensor without weights, and stays';
}
