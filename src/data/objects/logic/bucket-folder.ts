import { opendir } from 'node:fs/promises';
import { type Fault, unavailable } from '#kernel/fault.ts';
import { isSystemError, lstat, realpath, type SystemCode } from './fs.ts';

/** The folder at a bucket's path, as it was found. */
export interface BucketFolder {
  /** Without symbolic links. */
  readonly root: string;
  /** Differs when another folder is at the same path. */
  readonly identity: string;
  /** True when nothing at all is in it, not even what we keep there. */
  readonly isEmpty: boolean;
}

/**
 * Looks at the folder at `path`; `known` is what was found there before.
 *
 * A disk that is not mounted leaves an empty folder at its place. So an empty folder that is not the known one is refused when
 * that one had something in it, or when objects of this bucket are known.
 * Errors: `unavailable` with reason `folder_missing` or `disk_failing`.
 */
export async function findBucketFolder(
  bucket: string,
  path: string,
  known: BucketFolder | undefined,
  hasObjects: () => Promise<boolean>,
): Promise<BucketFolder> {
  try {
    const root = await realpath(path);
    const { dev, ino } = await lstat(root);
    const identity = `${dev}:${ino}`;
    if (known?.root === root && known.identity === identity && !known.isEmpty) return known;
    const isEmpty = await isEmptyFolder(root);
    const isOther = known?.identity !== identity;
    if (isEmpty && isOther && (known?.isEmpty === false || (await hasObjects()))) throw emptyFolder(bucket);
    return { root, identity, isEmpty };
  } catch (error) {
    throw folderFault(error, bucket);
  }
}

const gone: readonly SystemCode[] = ['ENOENT', 'ENOTDIR'];
/** What a disk, a network share or a user-space file system says that is broken or has gone away. */
const failing: readonly SystemCode[] = ['EIO', 'ENODEV', 'ENXIO', 'ESTALE', 'ENOTCONN', 'EHOSTDOWN', 'ETIMEDOUT'];

/** An error of a bucket's folder itself as the caller may know it; others pass as they are. */
function folderFault(error: unknown, bucket: string): unknown {
  if (!isSystemError(error, ...gone)) return diskFault(error, bucket);
  return unavailable(`The folder of bucket "${bucket}" is not there`, {
    reason: 'folder_missing',
    hint: 'Mount its disk or create the folder again',
    cause: error,
  });
}

/** A disk that does not answer as the caller may know it; other errors pass as they are. */
export function diskFault(error: unknown, bucket: string): unknown {
  if (!isSystemError(error, ...failing)) return error;
  return unavailable(`The disk of bucket "${bucket}" does not answer as it should`, {
    reason: 'disk_failing',
    hint: 'Check the disk or the network share and mount it again; nothing needs a restart.',
    cause: error,
  });
}

function emptyFolder(bucket: string): Fault {
  return unavailable(`The folder of bucket "${bucket}" is empty, which it was not before; is its disk mounted?`, {
    reason: 'folder_missing',
    hint: 'Mount its disk, or create the folder `.cellar` in it when it is meant to be empty.',
  });
}

async function isEmptyFolder(path: string): Promise<boolean> {
  await using folder = await opendir(path, { bufferSize: 1 });
  return (await folder.read()) === null;
}
