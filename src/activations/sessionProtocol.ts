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
  /** Set where the model is one training step, whose state stays in the worker. */
  readonly training: TrainingSetup | undefined;
}

export interface TrainingSetup {
  readonly states: readonly StatePair[];
  /** Outputs that each step answers with. */
  readonly results: readonly string[];
}

/** An output that is the next step's input. */
export interface StatePair {
  readonly input: string;
  readonly output: string;
  /** The input's value for the first step. */
  readonly initial: Float32Array;
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

export interface StepRequest {
  readonly kind: 'step';
  readonly feeds: readonly FeedMessage[];
}

export interface ReadStateRequest {
  readonly kind: 'readState';
}

export interface WriteStateRequest {
  readonly kind: 'writeState';
  /** Values by the name of the state's input; states that are not named keep theirs. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

export interface CloseRequest {
  readonly kind: 'close';
}

/** Close, without what was asked for before and is not running yet. */
export interface AbandonRequest {
  readonly kind: 'abandon';
}

export type SessionRequest =
  | OpenRequest
  | RunRequest
  | MeasureRequest
  | StepRequest
  | ReadStateRequest
  | WriteStateRequest
  | CloseRequest
  | AbandonRequest;

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

export interface StepMessage {
  readonly results: readonly FeedMessage[];
  /** The step's feeds, whose buffers go back to be filled again. */
  readonly feeds: readonly FeedMessage[];
}

export interface StateMessage {
  /** By the name of the state's input. */
  readonly state: ReadonlyMap<string, Float32Array>;
}

export interface ErrorMessage {
  readonly code: SieveErrorCode;
  readonly message: string;
  readonly remedy: string | undefined;
}

export type SessionResult = OpenResult | RunResult | MeasureResult | StepMessage | StateMessage | undefined;

export interface SessionRequestMessage {
  readonly id: number;
  readonly request: SessionRequest;
}

export type SessionResponseMessage =
  { readonly id: number; readonly result: SessionResult } | { readonly id: number; readonly error: ErrorMessage };
