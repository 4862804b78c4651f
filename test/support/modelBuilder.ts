import type { Attribute, DataType, Model, Node, Shape, Tensor, ValueInfo } from '../../src/onnx/ir';
import { serializeModel } from '../../src/onnx/save';
import { float32Tensor, int64Tensor } from '../../src/onnx/tensor';

type AttributeValue = number | string | readonly number[] | readonly string[] | Tensor | Attribute;

export interface NodeOptions {
  readonly name?: string;
  /** Output names; by default one, called `<op>_<number>`. */
  readonly outputs?: readonly string[];
  readonly domain?: string;
}

export interface BuilderOptions {
  readonly opset?: number;
  readonly irVersion?: number;
  /** Seed of the random weights. */
  readonly seed?: number;
}

/** Floating-point attributes: a whole number given for one of these is a float, not an int. */
const FLOAT_ATTRIBUTES = new Set([
  'alpha',
  'beta',
  'epsilon',
  'momentum',
  'value_float',
  'ratio',
  'gamma',
  'bias',
  'min',
  'max',
]);
const FLOATS_ATTRIBUTES = new Set(['scales', 'value_floats']);

/**
 * Builds small ONNX models for tests. Every method gives back the name of the tensor it defines:
 *
 *   const model = new ModelBuilder();
 *   const x = model.input('input', ['N', 3, 8, 8]);
 *   const y = model.node('Relu', [model.conv(x, 3, 4, 3, { pads: [1, 1, 1, 1] })]);
 *   model.output(y, ['N', 4, 8, 8]);
 *   const built = model.build();     // or model.bytes()
 */
export class ModelBuilder {
  private readonly inputs: ValueInfo[] = [];
  private readonly outputs: ValueInfo[] = [];
  private readonly nodes: Node[] = [];
  private readonly initializers = new Map<string, Tensor>();
  private readonly opsets = new Map<string, number>();
  private readonly irVersion: number;
  private randomState: number;
  private counter = 0;

  constructor(options: BuilderOptions = {}) {
    this.opsets.set('', options.opset ?? 17);
    this.irVersion = options.irVersion ?? 8;
    this.randomState = options.seed ?? 1;
  }

  input(name: string, shape: Shape, dataType: DataType = 'float32'): string {
    this.inputs.push({ name, dataType, shape });
    return name;
  }

  output(name: string, shape?: Shape, dataType: DataType = 'float32'): string {
    this.outputs.push({ name, dataType, shape });
    return name;
  }

  /** Imports another operator domain, as custom operators need. */
  domain(name: string, version = 1): void {
    this.opsets.set(name, version);
  }

  initializer(tensor: Tensor): string {
    this.initializers.set(tensor.name, tensor);
    return tensor.name;
  }

  /** A float32 initializer; without `values`, normal-like random ones scaled by 1/√(fan in). */
  weights(dims: readonly number[], values?: ArrayLike<number>, name = this.fresh('weight')): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    const fanIn = Math.max(
      1,
      dims.slice(1).reduce((product, dim) => product * dim, 1),
    );
    const data = values ?? Float32Array.from({ length: count }, () => this.random() / Math.sqrt(fanIn));
    return this.initializer(float32Tensor(name, dims, data));
  }

  /** An int64 initializer: a vector, or a scalar for a single number. */
  ints(values: number | readonly number[], name = this.fresh('ints')): string {
    const list = typeof values === 'number' ? [values] : values;
    return this.initializer(int64Tensor(name, typeof values === 'number' ? [] : [list.length], list));
  }

  /** The same as a Constant node. */
  constant(tensor: Tensor): string {
    return this.node('Constant', [], { value: { ...tensor, name: '' } }, { outputs: [tensor.name] });
  }

  /** Adds a node and returns its first output. '' in `inputs` is an optional input left out. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    options: NodeOptions = {},
  ): string {
    const outputs = options.outputs ?? [this.fresh(opType.toLowerCase())];
    const name = options.name ?? `${opType}_${this.nodes.length}`;
    this.nodes.push({
      name,
      key: name,
      opType,
      domain: options.domain ?? '',
      inputs,
      outputs,
      attributes: new Map(Object.entries(attributes).map(([key, value]) => [key, toAttribute(key, value)])),
    });
    return outputs[0] ?? '';
  }

  /** Conv with random weights [outputs, inputs/group, kernel, kernel] and a bias. */
  conv(
    input: string,
    inputs: number,
    outputs: number,
    kernel: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
    options: NodeOptions = {},
  ): string {
    const group = typeof attributes.group === 'number' ? attributes.group : 1;
    const weight = this.weights([outputs, inputs / group, kernel, kernel]);
    const bias = this.weights([outputs]);
    return this.node('Conv', [input, weight, bias], { kernel_shape: [kernel, kernel], ...attributes }, options);
  }

  /** BatchNormalization with random scale and shift, random means and positive variances. */
  batchNorm(input: string, channels: number, options: NodeOptions = {}): string {
    const around = (center: number) => Float32Array.from({ length: channels }, () => center + 0.2 * this.random());
    const positive = Float32Array.from({ length: channels }, () => 0.5 + Math.abs(this.random()));
    const parameters = [around(1), around(0), around(0), positive].map((values) => this.weights([channels], values));
    return this.node('BatchNormalization', [input, ...parameters], { epsilon: 1e-5 }, options);
  }

  /** Gemm with transB = 1 and random weights [outputs, inputs] and a bias, as PyTorch exports a Linear layer. */
  gemm(input: string, inputs: number, outputs: number, options: NodeOptions = {}): string {
    const operands = [input, this.weights([outputs, inputs]), this.weights([outputs])];
    return this.node('Gemm', operands, { transB: 1 }, options);
  }

  build(): Model {
    return {
      irVersion: this.irVersion,
      opsets: new Map(this.opsets),
      metadata: new Map(),
      graph: {
        name: 'test',
        inputs: [...this.inputs],
        outputs: [...this.outputs],
        nodes: [...this.nodes],
        initializers: new Map(this.initializers),
        valueInfo: new Map(),
      },
    };
  }

  bytes(): Uint8Array {
    return serializeModel(this.build());
  }

  /** Sum of four uniform numbers, roughly normal with variance 1; the same sequence for the same seed. */
  random(): number {
    let sum = 0;
    for (let round = 0; round < 4; round += 1) {
      this.randomState = (Math.imul(this.randomState, 1664525) + 1013904223) >>> 0;
      sum += this.randomState / 2 ** 32 - 0.5;
    }
    return sum * Math.sqrt(3);
  }

  private fresh(prefix: string): string {
    this.counter += 1;
    return `${prefix}_${this.counter}`;
  }
}

function toAttribute(name: string, value: AttributeValue): Attribute {
  if (typeof value === 'number')
    return Number.isInteger(value) && !FLOAT_ATTRIBUTES.has(name) ? { kind: 'int', value } : { kind: 'float', value };
  if (typeof value === 'string') return { kind: 'string', value };
  if (isList(value)) return toListAttribute(name, value);
  return 'kind' in value ? value : { kind: 'tensor', value };
}

function isList(value: AttributeValue): value is readonly number[] | readonly string[] {
  return Array.isArray(value);
}

function toListAttribute(name: string, values: readonly number[] | readonly string[]): Attribute {
  if (typeof values[0] === 'string') return { kind: 'strings', value: values as readonly string[] };
  const numbers = values as readonly number[];
  const isFloat = FLOATS_ATTRIBUTES.has(name) || numbers.some((value) => !Number.isInteger(value));
  return isFloat ? { kind: 'floats', value: numbers } : { kind: 'ints', value: numbers };
}
