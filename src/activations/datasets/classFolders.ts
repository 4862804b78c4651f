import { basename, dirname, extname } from 'node:path/posix';
import { counted, unreadable } from './errors';

/** File names that are taken for images: what sharp reads. */
const IMAGE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif', '.heif', '.svg']);

/** Files that tools leave behind (".DS_Store", "._photo.jpg", "__MACOSX/…") are no data. */
export function isHidden(path: string): boolean {
  return path.split('/').some((part) => (part.startsWith('.') && part !== '.' && part !== '..') || part === '__MACOSX');
}

export function isImageName(path: string): boolean {
  return IMAGE_EXTENSIONS.has(extname(path).toLowerCase());
}

export interface FolderListing {
  /** Paths of image files with "/" between folders, relative to the root. */
  readonly images: readonly string[];
  /** Folders, the same way. */
  readonly folders: readonly string[];
  /** Files that are no images, for the message when there are no others. */
  readonly otherFiles: number;
}

export interface ClassifiedImages {
  /** Sorted: they are the class ids. */
  readonly classNames: readonly string[];
  /** Sorted by class, then by path. */
  readonly images: readonly string[];
  readonly labels: Int32Array;
}

/**
 * The class of an image is its parent folder, and all class folders lie side by side in one folder, at any depth
 * below the root. Class ids are the positions of the sorted folder names (by code unit, as Python's `sorted`
 * does for names in ASCII).
 *
 * Errors: ERR_DATA_UNREADABLE for a listing without images, with images outside of class folders, with class
 * folders in several places, and for a class folder without images. `subject` is the path that the user named.
 */
export function classifyByFolder(listing: FolderListing, subject: string): ClassifiedImages {
  const what = 'a folder of class folders with images';
  if (listing.images.length === 0) {
    const others = listing.otherFiles === 0 ? '' : ` (but ${counted(listing.otherFiles, 'other file')})`;
    throw unreadable(what, subject, `no image${others}`, 'Name the folder whose sub-folders are the classes.');
  }
  const outside = listing.images.filter((path) => dirname(path) === '.');
  if (outside.length > 0) {
    const mixed = outside.length < listing.images.length;
    throw unreadable(
      what,
      subject,
      `${counted(outside.length, 'image')} directly inside${mixed ? ' beside class folders' : ' and no class folders'}, such as "${outside[0]!}"`,
      mixed ? 'Move the images into class folders, or remove them.' : 'Name the parent of the class folders.',
    );
  }
  const parents = [...new Set(listing.images.map((path) => dirname(dirname(path))))].sort();
  if (parents.length > 1) {
    throw unreadable(
      'class folders side by side in one folder',
      subject,
      `class folders in "${parents[0]!}" and in "${parents[1]!}"`,
      'Name the folder that directly holds the class folders, such as the one of a single split.',
    );
  }
  return classify(listing, parents[0]!, subject);
}

function classify(listing: FolderListing, parent: string, subject: string): ClassifiedImages {
  const classNames = [...new Set(listing.images.map((path) => basename(dirname(path))))].sort();
  const idOfClass = new Map(classNames.map((name, id) => [name, id]));
  for (const folder of listing.folders) {
    if (dirname(folder) === parent && folder !== '.' && !idOfClass.has(basename(folder))) {
      throw unreadable(
        'images in every class folder',
        subject,
        `none in "${folder}"`,
        'Remove the empty folder, or fill it.',
      );
    }
  }
  const images = [...listing.images].sort((left, right) => {
    const classOrder = idOfClass.get(basename(dirname(left)))! - idOfClass.get(basename(dirname(right)))!;
    return classOrder !== 0 ? classOrder : left < right ? -1 : 1;
  });
  return { classNames, images, labels: Int32Array.from(images, (path) => idOfClass.get(basename(dirname(path)))!) };
}
