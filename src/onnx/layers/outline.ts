import type { KeptPositions } from '../channels/rule';
import type { Graph } from '../ir';
import { dropEmptied, emptiedTensors, withoutSingleConcats } from '../passes/dropEmptied';
import { removeNewlyDead } from '../passes/removeNewlyDead';
import { replaceTensor, withoutRepeats } from '../passes/replaceTensor';
import type { Outline, Refusal, ReplaceEdit, TailEdit } from './types';

const NOTHING_CUT: Outline['kept'] = new Map();

export function outlineOfReplacement(graph: Graph, edit: ReplaceEdit): Outline {
  const replaced = withoutRepeats(graph, replaceTensor(graph, edit.tensor, edit.by), edit);
  return { graph: removeNewlyDead(graph, replaced), kept: NOTHING_CUT };
}

/** A refusal where a node that stays would have nothing left to read. */
export function outlineOfCut(graph: Graph, kept: ReadonlyMap<string, KeptPositions>): Outline | Refusal {
  const { graph: left, starved } = dropEmptied(graph, emptiedTensors(kept));
  if (starved !== undefined) return { reason: `${starved.opType} "${starved.key}" would have nothing left to read` };
  return { graph: withoutSingleConcats(graph, left), kept };
}

/** Without the old head where it does not fit; a new one is not in it. */
export function outlineOfTail(graph: Graph, { tensor, headInput, logits }: TailEdit, headFits: boolean): Outline {
  const replaced = replaceTensor(graph, headFits ? headInput : logits, tensor);
  return { graph: removeNewlyDead(graph, replaced), kept: NOTHING_CUT };
}
