/** What the two sides of a session say to each other. Plain data only: it crosses a thread boundary. */
import type { SieveErrorCode } from '../errors';
import type { Device } from '../types';
import type { DeviceAttempt, TensorInfo } from './types';

export type GraphOptimization = 'disabled' | 'basic' | 'extended' | 'all';

export type ModelMessage =
  | { readonly kind: 'path'; readonly path: string }
  | {
      readonly kind: 'bytes';
      readonly bytes: Uint8Array;
      readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
    };

export interface OpenRequest {
  readonly kind: 'open';
  readonly model: ModelMessage;
  /** Tried in this order. */
  readonly devices: readonly Device[];
  readonly threads: number;
  readonly spinning: boolean;
  readonly graphOptimization: GraphOptimization;
}

export interface FeedMessage {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

export interface RunRequest {
  readonly kind: 'run';
  readonly feeds: readonly FeedMessage[];
  readonly outputs: readonly string[];
}

export interface MeasureRequest {
  readonly kind: 'measure';
  readonly feeds: readonly FeedMessage[];
  readonly repeats: number;
}

export interface CloseRequest {
  readonly kind: 'close';
}

export type SessionRequest = OpenRequest | RunRequest | MeasureRequest | CloseRequest;

export interface OpenResult {
  /** undefined where every device failed; `attempts` says why. */
  readonly device: Device | undefined;
  readonly attempts: readonly DeviceAttempt[];
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly runtimeVersion: string;
}

export interface RunResult {
  readonly tensors: readonly FeedMessage[];
}

export interface MeasureResult {
  readonly latencyMs: Float64Array;
}

export interface ErrorMessage {
  readonly code: SieveErrorCode;
  readonly message: string;
  readonly remedy: string | undefined;
}

export interface SessionRequestMessage {
  readonly id: number;
  readonly request: SessionRequest;
}

export type SessionResponseMessage =
  | { readonly id: number; readonly result: OpenResult | RunResult | MeasureResult | undefined }
  | { readonly id: number; readonly error: ErrorMessage };
