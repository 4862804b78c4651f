import type { ChannelAnalysis, ChannelGroup, GroupMember } from '../channels/types';
import type { Model } from '../ir';
import type { ShapeMap } from '../shapes';
import type { DataFlow } from './dataFlow';

/** What the search for layers knows of a graph. */
export interface GraphView {
  readonly model: Model;
  readonly shapes: ShapeMap;
  readonly channels: ChannelAnalysis;
  readonly flow: DataFlow;
  /** The channel groups that have slots in a tensor. */
  readonly membersOf: (tensor: string) => readonly Membership[];
}

export interface Membership {
  readonly group: ChannelGroup;
  readonly member: GroupMember;
}

/** By tensor: the groups that have slots in it. */
export function membershipsByTensor({ groups }: ChannelAnalysis): ReadonlyMap<string, readonly Membership[]> {
  const result = new Map<string, Membership[]>();
  for (const group of groups)
    for (const member of group.members)
      result.set(member.tensor, [...(result.get(member.tensor) ?? []), { group, member }]);
  return result;
}
