import { createSession } from '../../activations/session';
import { isSieveError } from '../../errors';
import { toModelBytes } from '../../onnx/save';
import { channelBlockOf, channelBlockProbe } from '../../onnx/training/channelBlock';

/**
 * Channels in a block of ONNX Runtime's own image layout on this machine's CPU, where convolutions are fastest; undefined where
 * it has none. Costs some milliseconds.
 */
export async function measureChannelBlock(signal?: AbortSignal): Promise<number | undefined> {
  try {
    const session = await createSession(toModelBytes(channelBlockProbe()), { device: 'cpu', threads: 1, signal });
    try {
      return channelBlockOf((await session.run({}, ['blocked'])).get('blocked')!.data);
    } finally {
      await session.close();
    }
  } catch (error) {
    // Without such a layout the probe is a model that ONNX Runtime does not know.
    if (isSieveError(error) && error.code !== 'ERR_CANCELLED') return undefined;
    throw error;
  }
}
