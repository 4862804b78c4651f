import { join } from 'node:path';
import { temporaryFolder } from '../../activations/support/images';
import { toyImages, writeNpz, type ToyImages } from './toyData';

/** A temporary folder with labelled images to compress on and others to validate on. */
export interface ToyWorld {
  readonly folder: string;
  readonly data: string;
  readonly validation: string;
  readonly validationImages: ToyImages;
  /** A name in the folder. */
  readonly at: (...parts: string[]) => string;
  readonly remove: () => Promise<void>;
}

export async function toyWorld(samples = 240, validationSamples = 200): Promise<ToyWorld> {
  const { path, remove } = await temporaryFolder();
  const at = (...parts: string[]): string => join(path, ...parts);
  const validationImages = toyImages(validationSamples, 3);
  return {
    folder: path,
    data: await writeNpz(at('data.npz'), toyImages(samples, 2)),
    validation: await writeNpz(at('validation.npz'), validationImages),
    validationImages,
    at,
    remove,
  };
}
