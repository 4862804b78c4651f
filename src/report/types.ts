import type { ChannelMask, NotCut } from '../types';
import type { EnvironmentDescription } from './environment';

/** One side of a compression: the network as it came, or as it left. `top1` is a fraction, on validation samples. */
export interface ReportedSide {
  readonly parameters: number;
  readonly macs: number;
  readonly bytes: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
}

/** The indices of one cut point, in [0, 1]. */
export interface ReportedLayer {
  readonly name: string;
  readonly si: number;
  readonly csi: number;
  readonly effective: boolean;
}

/** What a compression did: the part of its result that a report shows. */
export interface ReportedResult {
  readonly before: ReportedSide;
  readonly after: ReportedSide;
  /** Images/s after over before, from paired runs. */
  readonly speedRatio: number;
  readonly removed: { readonly layers: readonly string[]; readonly channels: ChannelMask };
  readonly groups: readonly { readonly id: string; readonly size: number; readonly kept: number }[];
  readonly stages: readonly { readonly name: string; readonly top1: number; readonly seconds: number }[];
  readonly notCut: readonly NotCut[];
  readonly verification: {
    readonly maxRelativeDifference: number;
    readonly tolerance: number;
    readonly samples: number;
  };
  readonly criterion: string;
  readonly calibrationSamples: number;
  readonly validationSamples: number;
  readonly device: string;
  readonly seed: number;
  readonly unmet?: string;
  readonly output?: string;
}

/** What a report says beside the result itself. */
export interface ReportContext {
  /** Name of the model, as the user knows it. */
  readonly model: string;
  readonly environment: EnvironmentDescription;
  readonly createdAt: Date;
  /** The command that made it, ready to be typed again. */
  readonly command?: string;
  /** SI and CSI of the original network's cut points, in topological order. */
  readonly separation?: readonly ReportedLayer[];
}
