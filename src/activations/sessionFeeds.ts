import { expected } from '../errors';
import type { FeedMessage } from './sessionProtocol';
import type { RunOptions, TensorValue } from './types';

/**
 * The feeds of one run as they go to the worker, with buffers that are to be transferred: the caller's own where
 * `transferFeeds` gives them away, else what `copy` makes of them.
 */
export function feedMessages(
  inputNames: readonly string[],
  feeds: Readonly<Record<string, TensorValue>>,
  { transferFeeds = false }: RunOptions,
  copy: (data: Float32Array) => Float32Array = (data) => data.slice(),
): FeedMessage[] {
  for (const name of Object.keys(feeds)) {
    if (!inputNames.includes(name)) {
      throw expected('ERR_USAGE', `an input of the model (${inputNames.join(', ')})`, 'the feeds', name);
    }
  }
  return inputNames.map((name) => {
    const feed = feeds[name];
    if (feed === undefined) throw expected('ERR_USAGE', `an array for input "${name}"`, 'the feeds', feed);
    const elements = feed.dims.reduce((product, dim) => product * dim, 1);
    if (elements !== feed.data.length) {
      throw expected(
        'ERR_SHAPE',
        `${elements} values`,
        `input "${name}" of shape [${feed.dims.join(', ')}]`,
        feed.data,
      );
    }
    // A view into a larger buffer must not drag the rest along, or away from its owner.
    const whole = feed.data.byteLength === feed.data.buffer.byteLength && feed.data.buffer instanceof ArrayBuffer;
    return { name, dims: [...feed.dims], data: transferFeeds && whole ? feed.data : copy(feed.data) };
  });
}

/** What moves to the other thread with a message. */
export function buffersOf(feeds: readonly FeedMessage[]): ArrayBuffer[] {
  return [...new Set(feeds.map(({ data }) => data.buffer as ArrayBuffer))];
}
