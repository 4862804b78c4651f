import type { NotCut } from '../../types';

/**
 * A slot is one unit that is kept or removed as a whole: all channel positions, in all tensors, that must go
 * together. An index map says which slot each position along a tensor's axis belongs to.
 */
export interface GroupMember {
  readonly tensor: string;
  readonly axis: number;
  /** For each index along `axis`: the slot in this group, or −1 where it belongs to another group or is constant zero. */
  readonly slots: readonly number[];
}

export interface ChannelGroup {
  /**
   * Name of the tensor that defines the group: the first producer's output. Slots are numbered as they first appear
   * there, then in the outputs of further producers; without ties inside the tensor, its index i IS slot i.
   */
  readonly id: string;
  /** Number of slots. */
  readonly size: number;
  readonly members: readonly GroupMember[];
  /** Keys of the linear nodes (Conv, Gemm, MatMul) whose output channels the slots are, in topological order. */
  readonly producers: readonly string[];
  /** Keys of the linear nodes that contract over the slots (their input channels), in topological order. */
  readonly consumers: readonly string[];
  readonly prunable: boolean;
  /** Why not, when `prunable` is false. */
  readonly reason?: string;
}

export interface ChannelAnalysis {
  readonly groups: readonly ChannelGroup[];
  /** Linear nodes whose output channels can not be cut, and why. */
  readonly notCut: readonly NotCut[];
}
