import type { Node } from '../ir';
import type { GraphBuilder, Value } from './graphBuilder';

export type TrainingDevice = 'cpu' | 'cuda' | 'webgpu';

/** What all rules of one graph share. */
export interface RuleSettings {
  /** `batch`: normalise by the batch at hand and update the running statistics; `frozen`: by the stored ones. */
  readonly batchNorm: 'batch' | 'frozen';
  /** Formulations differ with what a provider has kernels for, and what is fast there. */
  readonly device: TrainingDevice;
  /** Channels in a block of ONNX Runtime's own image layout on this machine, where it has one (see channelBlock.ts). */
  readonly channelBlock?: number;
}

/** What a rule sees of a node of the model. */
export interface RuleScope {
  readonly node: Node;
  /** The model's version of the standard operator set; the builder's own is GENERATED_OPSET. */
  readonly opset: number;
  readonly build: GraphBuilder;
  readonly settings: RuleSettings;
  /** undefined for an operand that is left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Which inputs a gradient is wanted for. */
  readonly needsGradient: readonly boolean[];
  /** Names of the node's outputs that somebody reads. */
  readonly outputCount: number;
  /** Sizes of the outputs, all known. */
  readonly outputDims: readonly (readonly number[])[];
  /** Values of an operand that does not depend on the data (axes, pads, shapes). ERR_MODEL_UNSUPPORTED where it does. */
  readonly numbers: (input: number) => readonly number[];
  /** The operand; ERR_MODEL_UNSUPPORTED where it is left out. */
  readonly required: (input: number) => Value;
}

/** A node carried over into the graph being built, and how gradients go back through it. */
export interface Differentiable {
  readonly outputs: readonly Value[];
  /**
   * Gradients of the inputs, given those of the outputs (undefined where none arrives; at least one does). Written only for
   * inputs with `needsGradient`; each has its input's shape.
   */
  backward(gradients: readonly (Value | undefined)[]): readonly (Value | undefined)[];
  /** New values of inputs that are running statistics, by input. */
  readonly statistics?: ReadonlyMap<number, Value>;
}

/** Writes the node's forward computation. */
export type GradientRule = (scope: RuleScope) => Differentiable;
export type GradientRules = Readonly<Record<string, GradientRule>>;
