import { channelBlockOf, channelBlockProbe } from '../../../src/onnx/training/channelBlock';
import { runModel } from '../../support/runtime';

/** What the probe finds on this machine; undefined where ONNX Runtime has no layout of its own. */
export async function measureChannelBlock(): Promise<number | undefined> {
  try {
    return channelBlockOf((await runModel(channelBlockProbe(), {})).get('blocked')!.data as ArrayLike<number>);
  } catch (error) {
    console.info(`ONNX Runtime's own layout is not checked here: ${String(error)}`);
    return undefined;
  }
}
