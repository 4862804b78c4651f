import { createSession, type SessionOptions } from '../activations/session';
import type { Dataset, Session } from '../activations/types';
import type { Model } from '../onnx/ir';
import { toModelBytes } from '../onnx/save';
import type { DeviceChoice, RunControl } from '../types';

/** How networks are run: the same for every session of one call. */
export interface Runtime extends RunControl {
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly batchSize: number;
  readonly memoryBudgetBytes: number;
  readonly seed: number;
  readonly onMessage?: (text: string) => void;
}

/** Some samples of a data set, in a fixed order. */
export interface Samples {
  readonly dataset: Dataset;
  readonly indices: Int32Array;
}

export function labelsOf({ dataset, indices }: Samples): Int32Array {
  return Int32Array.from(indices, (index) => dataset.labels[index] ?? 0);
}

/** Opens a model for as long as `use` runs. */
export async function withSession<T>(
  model: Model,
  runtime: Runtime,
  use: (session: Session) => Promise<T>,
  options: Pick<SessionOptions, 'graphOptimization' | 'spinning'> = {},
): Promise<T> {
  const session = await createSession(toModelBytes(model), {
    device: runtime.device,
    threads: runtime.threads,
    signal: runtime.signal,
    ...options,
  });
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** Says which device runs the networks, and why others do not. */
export function deviceMessages(session: Session, runtime: Runtime): void {
  for (const { device, taken, reason } of session.attempts)
    runtime.onMessage?.(`${device}: ${taken ? 'taken' : 'not taken'}: ${reason}`);
}
