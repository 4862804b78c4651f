import type { Model } from '../ir';
import { createGraphBuilder } from './graphBuilder';

/** Operators of ONNX Runtime's own image layout, which its optimizer writes and saves: the same names in every release. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

const CHANNELS = 16;

/**
 * A model that shows which layout ONNX Runtime's fast convolutions have on this machine: [N, C/b, H, W, b] for a block of b
 * channels, 16 with AVX-512, 8 with AVX2; elsewhere it may refuse the model. It has no inputs and one output, "blocked".
 */
export function channelBlockProbe(): Model {
  const build = createGraphBuilder();
  const image = build.constant(
    Array.from({ length: 2 * CHANNELS }, (_, at) => at),
    [1, CHANNELS, 1, 2],
  );
  const dims = [image.dims];
  build.output('blocked', build.emit('ReorderInput', [image], {}, { domain: BLOCKED_DOMAIN, outputDims: dims })[0]!);
  return build.build('channel block');
}

/** Channels in a block, given the probe's output; undefined for a layout that is not the expected one. */
export function channelBlockOf(blocked: ArrayLike<number>): number | undefined {
  return [8, 16].find((block) =>
    Array.from({ length: 2 * CHANNELS }, (_, at) => {
      const channel = Math.floor(at / (2 * block)) * block + (at % block);
      return 2 * channel + (Math.floor(at / block) % 2);
    }).every((expected, at) => blocked[at] === expected),
  );
}
