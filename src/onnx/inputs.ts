import { expected } from '../errors';
import { graphIndex } from './graphIndex';
import type { Graph, Model, Shape, ValueInfo } from './ir';
import type { ShapeMap } from './shapes';
import { isFloatType } from './tensor';

/** The image input of a classifier, as the model declares it. */
export interface ModelImageInput {
  readonly name: string;
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Set where the model only takes this many samples at once. */
  readonly fixedBatch: number | undefined;
}

/** Grey, colour, colour with transparency. */
const CHANNEL_COUNTS = new Set([1, 3, 4]);

/**
 * The one input that takes images: float, [N, C, H, W] or [N, H, W, C] with 1, 3 or 4 channels. Where both axes
 * could be the channels, NCHW is taken. ERR_MODEL_UNSUPPORTED where there is none, more than one input, or the
 * height or width is open in `shapes`.
 */
export function findImageInput(model: Model, shapes: ShapeMap): ModelImageInput {
  const { inputs } = model.graph;
  const candidates = inputs.flatMap((info) => imageAxes(info, shapes.get(info.name)) ?? []);
  const [found] = candidates;
  if (found === undefined || candidates.length > 1)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'one image input ([N, C, H, W] or [N, H, W, C], float, 1, 3 or 4 channels)',
      'the model',
      describeInputs(inputs, shapes),
      { remedy: 'Give an image classifier.' },
    );
  const other = inputs.find((info) => info.name !== found.name);
  if (other !== undefined)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'an image as the only input',
      'the model',
      `a further input "${other.name}"`,
      {
        remedy: 'Turn the other inputs into constants before compressing.',
      },
    );
  const { height, width } = found;
  if (typeof height !== 'number' || typeof width !== 'number')
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'a known height and width',
      `the image input "${found.name}"`,
      describeInputs(inputs, shapes),
      { remedy: 'Export the model with a fixed height and width.' },
    );
  const [batch] = shapes.get(found.name) ?? [];
  const { name, layout, channels } = found;
  return { name, layout, channels, height, width, fixedBatch: typeof batch === 'number' ? batch : undefined };
}

function imageAxes(info: ValueInfo, shape: Shape) {
  if (!isFloatType(info.dataType) || shape?.length !== 4) return undefined;
  const [, second, third, fourth] = shape;
  if (typeof second === 'number' && CHANNEL_COUNTS.has(second))
    return { name: info.name, layout: 'NCHW' as const, channels: second, height: third, width: fourth };
  if (typeof fourth === 'number' && CHANNEL_COUNTS.has(fourth))
    return { name: info.name, layout: 'NHWC' as const, channels: fourth, height: second, width: third };
  return undefined;
}

function describeInputs(inputs: readonly ValueInfo[], shapes: ShapeMap): string {
  if (inputs.length === 0) return 'no input at all';
  return inputs
    .map(({ name, dataType }) => {
      const shape = shapes.get(name);
      const sizes = shape === undefined ? '?' : shape.map((dimension) => dimension ?? '?').join(', ');
      return `${name}: ${dataType} [${sizes}]`;
    })
    .join('; ');
}

/** The output that holds one score a class. */
export interface ClassifierOutput {
  /** Name of the graph output, [N, classes]. */
  readonly name: string;
  readonly classes: number;
  /** The scores before a final Softmax or LogSoftmax; the same as `name` where there is none. */
  readonly beforeSoftmax: string;
}

/**
 * The first float output of shape [N, classes] with at least two classes (trailing axes of size 1 are allowed).
 * ERR_MODEL_UNSUPPORTED where there is none.
 */
export function findLogits(model: Model, shapes: ShapeMap): ClassifierOutput {
  for (const output of model.graph.outputs) {
    const shape = shapes.get(output.name);
    const [, classes, ...rest] = shape ?? [];
    const isScores = typeof classes === 'number' && classes >= 2 && rest.every((size) => size === 1);
    if (isScores && isFloatType(output.dataType))
      return { name: output.name, classes, beforeSoftmax: beforeSoftmax(model.graph, output.name) };
  }
  throw expected(
    'ERR_MODEL_UNSUPPORTED',
    'a float output [N, classes]',
    'the model',
    describeInputs(model.graph.outputs, shapes),
    { remedy: 'Give a classifier: detection and segmentation networks are not handled.' },
  );
}

function beforeSoftmax(graph: Graph, name: string): string {
  const producer = graphIndex(graph).producers.get(name);
  const [source] = producer?.inputs ?? [];
  if (producer?.domain !== '' || source === undefined) return name;
  if (producer.opType === 'Softmax' || producer.opType === 'LogSoftmax') return source;
  return producer.opType === 'Identity' ? beforeSoftmax(graph, source) : name;
}
