import { createHash } from 'node:crypto';
import { createRandom, type Random } from '../../random';

/**
 * Random numbers for one purpose at one place of a run, for example ('order', epoch). They depend on nothing that
 * was drawn before, so that a resumed run draws the same.
 */
export function randomAt(seed: number, purpose: string, ...place: readonly number[]): Random {
  const digest = createHash('sha256')
    .update([seed, purpose, ...place].join('/'))
    .digest();
  return createRandom(digest.readUIntBE(0, 6));
}
