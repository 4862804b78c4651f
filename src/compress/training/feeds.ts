import type { TensorValue } from '../../activations/types';
import type { StepSettings } from '../../onnx/training/optimizer';
import type { TrainingGraph } from '../../onnx/training/trainingGraph';
import type { TrainingBatches } from '../../recovery/training/hooks';
import type { Device } from '../../types';

type Feeds = Readonly<Record<string, TensorValue>>;

/** What one run of the graph is fed; `settings` are those of each step of the run. */
export type FeedWriter = (batches: TrainingBatches, settings: readonly StepSettings[]) => Feeds;

const LARGEST_RUN_STEPS = 8;
/** Of the batches of one run; on the host there are twice as many, one run's being made during the other. */
const LARGEST_RUN_BYTES = 2 ** 28;

/**
 * How many steps one run of the graph takes. With cuda the Node binding copies the whole state to the device and back for
 * each run; with webgpu the state stays there, and on the CPU there is nothing to copy.
 */
export function stepsPerRunOn(
  device: Device,
  { batchSize, classes, imageDims, needsTeacherLogits }: TrainingGraph,
): number {
  if (device !== 'cuda') return 1;
  const imageValues = imageDims.reduce((product, size) => product * size, 1);
  const stepBytes = 4 * (imageValues + batchSize * classes * (needsTeacherLogits ? 2 : 1));
  return Math.min(LARGEST_RUN_STEPS, Math.max(1, Math.floor(LARGEST_RUN_BYTES / stepBytes)));
}

/** For the graph itself: a run is one step. */
export function stepFeeds(graph: TrainingGraph): FeedWriter {
  return (batches, [settings]) => ({ ...batchFeeds(graph, batches, []), ...graph.stepFeeds(settings!) });
}

/** For the graph in a loop: everything for all steps of a run, [steps, …]. */
export function loopFeeds(graph: TrainingGraph): FeedWriter {
  return (batches, settings) => {
    const ofSteps = settings.map(graph.stepFeeds);
    const updates = Object.entries(ofSteps[0]!).map(([name, { dims, data }]) => {
      const stacked = new Float32Array(ofSteps.length * data.length);
      for (const [index, feeds] of ofSteps.entries()) stacked.set(feeds[name]!.data, index * data.length);
      return [name, { dims: [ofSteps.length, ...dims], data: stacked }] as const;
    });
    return { ...batchFeeds(graph, batches, [settings.length]), ...Object.fromEntries(updates) };
  };
}

function batchFeeds(
  { batchSize, classes, imageDims, needsTeacherLogits }: TrainingGraph,
  { images, targets, teacherLogits }: TrainingBatches,
  stepsDims: readonly number[],
): Feeds {
  const logitsDims = [...stepsDims, batchSize, classes];
  return {
    images: { dims: [...stepsDims, ...imageDims], data: images },
    targets: { dims: logitsDims, data: targets },
    ...(needsTeacherLogits ? { teacher_logits: { dims: logitsDims, data: teacherLogits! } } : {}),
  };
}
