import type { NotCut } from '../../types';
import type { RemovedSlots } from '../channels/mask';
import type { KeptPositions } from '../channels/rule';
import type { Graph } from '../ir';

/**
 * - `residual-block`: what an Add adds to its shortcut goes; a projection on the shortcut stays.
 * - `dense-layer`: an operand of Concat that is computed from another operand of it; its channels leave all readers.
 * - `branch`: one of several operands of a Concat; its channels leave all readers.
 * - `module`: everything from one tensor to a Concat of the same shape.
 * - `sequential`: one linear layer with its normalisation and activation, where the shape stays.
 * - `tail`: everything behind a tensor up to the head, which is attached there.
 */
export type LayerKind = 'residual-block' | 'dense-layer' | 'branch' | 'module' | 'sequential' | 'tail';

/** Part of a network that can be taken out of it. */
export interface RemovableLayer {
  /**
   * Stays the same when other layers are removed, as long as it is the same layer: the kind and name; of a residual block
   * also the operand of the Add that goes; of a sequential layer also the last node, where that is another one; of a branch
   * also the layers that lose channels with it.
   */
  readonly id: string;
  readonly kind: LayerKind;
  /**
   * Key of the node that it is known by: the Add or Concat, the last of a branch, the linear one of a sequential layer. Of
   * a tail, the tensor behind which it starts.
   */
  readonly name: string;
  /** Keys of the nodes that go with it, in topological order. */
  readonly nodes: readonly string[];
  /** Learned values that go, those included that later layers lose because they read fewer channels. */
  readonly parameters: number;
  /** Multiply-accumulates for one sample that go. A head that the caller gives is not counted against it. */
  readonly macs: number;
  /** Only of a tail: the linear layer that a new head must be, and whether the old head fits as it is. */
  readonly head?: { readonly inputs: number; readonly outputs: number; readonly fits: boolean };
  /** What to know about it, such as "its shortcut is a projection, which stays". */
  readonly remark?: string;
}

export interface LayerAnalysis {
  readonly layers: readonly RemovableLayer[];
  /** Linear layers, and joins of several paths, that no removable layer takes away, and why. */
  readonly notRemovable: readonly NotCut[];
}

/** What has to be done to the graph; names are those of the graph that was analysed. */
export type LayerEdit = ReplaceEdit | ChannelsEdit | TailEdit;

/** Readers of `tensor` read `by` instead. `silenced` is the tensor that the by-passed original sets to zero. */
export interface ReplaceEdit {
  readonly kind: 'replace';
  readonly tensor: string;
  readonly by: string;
  readonly silenced: string;
}

export interface ChannelsEdit {
  readonly kind: 'channels';
  readonly removed: RemovedSlots;
}

export interface TailEdit {
  readonly kind: 'tail';
  /** What is left of the network ends here: [N, C, H, W]. */
  readonly tensor: string;
  /** What the old head reads: [N, C', H', W']. */
  readonly headInput: string;
  readonly logits: string;
}

/** What an edit leaves, as far as nodes and channels tell: weights are as they were. */
export interface Outline {
  readonly graph: Graph;
  readonly kept: ReadonlyMap<string, KeptPositions>;
}

export interface Removal extends Pick<RemovableLayer, 'head' | 'remark'> {
  readonly edit: LayerEdit;
  /** What tells it from another layer of its kind and name. */
  readonly detail?: string;
  readonly outline: Outline;
}

/** Something that looks like a layer: an edit that removes it, or the reason why there is none. */
export type Candidate = Pick<RemovableLayer, 'kind' | 'name'> & (Removal | Refusal);

export interface Refusal {
  readonly reason: string;
}
