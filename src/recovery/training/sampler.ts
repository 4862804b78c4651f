import { expected } from '../../errors';
import { checkInteger } from './checks';
import { randomAt } from './stream';

export interface SamplerOptions {
  /** [samples]: the class of each training sample. */
  readonly labels: Int32Array;
  readonly batchSize: number;
  readonly seed: number;
  /**
   * Every class that has samples equally often in an epoch (within one): short classes are repeated, of long ones other
   * samples are taken in each epoch. Default false.
   */
  readonly classBalanced?: boolean;
}

/** Which samples an epoch trains on, and in what order. */
export interface Sampler {
  /** Only full batches: the samples that would not fill the last one sit out, others in each epoch. */
  readonly stepsPerEpoch: number;
  /**
   * [stepsPerEpoch · batchSize] positions among the training samples, in batches one after the other. A function of the
   * seed and the epoch alone (and of the labels, where balanced). O(samples).
   */
  order(epoch: number): Int32Array;
}

/** Errors: ERR_DATA_MISMATCH with fewer samples than one batch takes; ERR_OPTION. */
export function createSampler({ labels, batchSize, seed, classBalanced = false }: SamplerOptions): Sampler {
  checkInteger(batchSize, 1, 'the batch size');
  const stepsPerEpoch = Math.floor(labels.length / batchSize);
  if (stepsPerEpoch === 0) {
    throw expected('ERR_DATA_MISMATCH', `at least ${batchSize} samples, one batch,`, 'training', labels.length, {
      remedy: 'Give more training samples, or choose a smaller batch size.',
    });
  }
  const drawn = stepsPerEpoch * batchSize;
  if (classBalanced) {
    const members = membersOfClasses(labels);
    return { stepsPerEpoch, order: (epoch) => balancedOrder(members, drawn, seed, epoch) };
  }
  return {
    stepsPerEpoch,
    order: (epoch) => {
      const all = Int32Array.from(labels.keys());
      return randomAt(seed, 'order', epoch).shuffle(all).subarray(0, drawn);
    },
  };
}

/** Positions of the samples of each class that has any. */
function membersOfClasses(labels: Int32Array): readonly Int32Array[] {
  const members = new Map<number, number[]>();
  labels.forEach((label, position) => {
    const known = members.get(label);
    if (known === undefined) members.set(label, [position]);
    else known.push(position);
  });
  return [...members].sort(([left], [right]) => left - right).map(([, positions]) => Int32Array.from(positions));
}

/**
 * The epochs deal the classes out in turn, and each class deals out its samples in one shuffled pass after the other.
 * Both go on where the epoch before ended, so that over many epochs every sample of a class is seen equally often.
 */
function balancedOrder(members: readonly Int32Array[], drawn: number, seed: number, epoch: number): Int32Array {
  const order = new Int32Array(drawn);
  let filled = 0;
  members.forEach((positions, rank) => {
    const dealt = (turns: number): number => Math.floor((turns + members.length - 1 - rank) / members.length);
    const end = dealt((epoch + 1) * drawn);
    let pass = -1;
    let shuffled = positions;
    for (let draw = dealt(epoch * drawn); draw < end; draw++) {
      const wanted = Math.floor(draw / positions.length);
      if (wanted !== pass) {
        pass = wanted;
        shuffled = randomAt(seed, 'class order', rank, pass).shuffle(positions.slice());
      }
      order[filled++] = shuffled[draw % positions.length]!;
    }
  });
  return randomAt(seed, 'order', epoch).shuffle(order);
}
