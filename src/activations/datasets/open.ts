import { throwIfAborted } from '../../errors';
import type { RunControl } from '../../types';
import type { Dataset, DatasetSpec } from '../types';
import { openCifarBinary } from './cifarBinary';
import { createDataset } from './dataset';
import type { DatasetOptions } from './dataset';
import { unreadable } from './errors';
import { idxLabelsPath, openIdx } from './idx';
import { openImageFolder } from './imageFolder';
import { openNpy } from './npy';
import { openNpz } from './npz';
import type { ImageSource } from './source';
import { checkSpec, detectFormat, readSpecFile } from './spec';
import type { DatasetKind } from './spec';
import { openTarArchive } from './tarArchive';

/** A description whose kind is known. */
type ResolvedSpec = DatasetSpec & { readonly kind: DatasetKind };

/**
 * Opens a labelled image set for one model input. `source` is a path, whose kind is told by its contents, or a
 * description. Where the path is a JSON description itself, the fields beside the path win over those in it.
 *
 * Classes: ids are the sorted folder names, or the numbers in the labels. With `classNames` ids are positions in
 * that list, and folder names (or the names a format carries) are looked up in it.
 *
 * Errors: ERR_DATA_UNREADABLE, ERR_OUT_OF_MEMORY (archives) and those of createDataset. All but ERR_IMAGE_CORRUPT are
 * found on opening, apart from files that can not be read later.
 */
export async function openDataset(source: string | DatasetSpec, options: DatasetOptions): Promise<Dataset> {
  throwIfAborted(options.signal);
  const spec = await resolveSpec(typeof source === 'string' ? { path: source } : checkSpec(source, 'the data set'));
  return createDataset(await openSource(spec, options), spec, options);
}

async function resolveSpec(spec: DatasetSpec): Promise<ResolvedSpec> {
  const { path, kind } = spec;
  const format = await detectFormat(path);
  switch (format) {
    case 'json': {
      const given = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
      const described = await readSpecFile(path);
      return { ...described, ...given, path: described.path, kind: kind ?? described.kind };
    }
    case 'folder':
    case 'tar':
    case 'tar-gzip':
    case 'tar-xz':
      return { ...spec, kind: kind ?? 'image-folder' };
    case 'npy':
    case 'npz':
    case 'idx':
    case 'cifar-binary':
      return { ...spec, kind: kind ?? format };
  }
}

async function openSource(spec: ResolvedSpec, { input, signal, onProgress }: DatasetOptions): Promise<ImageSource> {
  const { path, layout } = spec;
  switch (spec.kind) {
    case 'image-folder':
    case 'tar':
      return openFolderOrArchive(path, { signal, onProgress });
    case 'npy':
      return openNpy(path, requireLabels(spec, spec.labels), layout, input);
    case 'npz':
      return openNpz(path, { images: spec.images, labels: spec.labels }, layout, input);
    case 'cifar-binary':
      return openCifarBinary(path);
    case 'idx':
      return openIdx(path, requireLabels(spec, spec.labels ?? idxLabelsPath(path)), layout, input);
  }
}

async function openFolderOrArchive(path: string, control: RunControl): Promise<ImageSource> {
  const format = await detectFormat(path);
  switch (format) {
    case 'folder':
      return openImageFolder(path, control.signal);
    case 'tar':
      return openTarArchive(path, 'none', control);
    case 'tar-gzip':
      return openTarArchive(path, 'gzip', control);
    case 'tar-xz':
      return openTarArchive(path, 'xz', control);
    default:
      throw unreadable(
        'a folder or .tar of class folders',
        path,
        `a file of kind ${format}`,
        'Correct the "kind" of the data set.',
      );
  }
}

function requireLabels({ kind, path }: ResolvedSpec, labels: string | undefined): string {
  if (labels !== undefined) return labels;
  throw unreadable(
    `a file of labels with ${kind} images`,
    path,
    'none',
    'Name it: "labels" in a JSON description (--labels).',
  );
}
