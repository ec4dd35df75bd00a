import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Fault, permissionDenied, unavailable } from '#kernel/fault.ts';
import { escapeText } from '#lib/escaped-name.ts';
import { isSystemError, type SystemCode } from '#lib/system-error.ts';
import { lstat, realpath } from './fs.ts';
import { privateFolder } from './key-path.ts';

/** The folder at a bucket's path, as it was found. */
export interface BucketFolder {
  /** Without symbolic links. */
  readonly root: string;
  readonly device: bigint;
  readonly inode: bigint;
  /** True when nothing at all is in it, not even what we keep there. */
  readonly isEmpty: boolean;
}

/**
 * Looks at the folder at `path`; `known` is what was found there before.
 *
 * A disk that is not mounted leaves another folder at its place, empty or with what other programs put there since. So one that is
 * not the known one and has nothing of ours in it is refused when it is empty and the known one was not, or when it lies on another
 * disk and objects of this bucket are known.
 * Errors: `unavailable` with reason `folder_missing` or `disk_failing`.
 */
export async function findBucketFolder(
  bucket: string,
  path: string,
  known: BucketFolder | undefined,
  hasObjects: () => Promise<boolean>,
): Promise<BucketFolder> {
  try {
    const root = escapeText(await realpath(path));
    const { dev: device, ino: inode } = await lstat(root);
    const isSame = known?.root === root && known.device === device && known.inode === inode;
    if (isSame && !known.isEmpty) return known;
    const isEmpty = await isEmptyFolder(path);
    if (!isSame && !(await isThere(join(root, privateFolder)))) {
      const wasFilled = isEmpty && known?.isEmpty === false;
      const isDoubtful = isEmpty || (known !== undefined && known.device !== device);
      if (wasFilled || (isDoubtful && (await hasObjects()))) throw otherFolder(bucket, isEmpty);
    }
    return { root, device, inode, isEmpty };
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

/** A disk that does not answer, or not to us, as the caller may know it; other errors pass as they are. */
export function diskFault(error: unknown, bucket: string): unknown {
  if (isSystemError(error, 'EACCES', 'EPERM')) {
    return permissionDenied(
      `Cannot read in bucket "${bucket}": the permissions of the file or of a folder above it forbid it to Cellar`,
      {
        reason: 'not_readable',
        hint: 'Let the user that Cellar runs as read it; nothing needs a restart.',
        cause: error,
      },
    );
  }
  if (!isSystemError(error, ...failing)) return error;
  return unavailable(`The disk of bucket "${bucket}" does not answer as it should`, {
    reason: 'disk_failing',
    hint: 'Check the disk or the network share and mount it again; nothing needs a restart.',
    cause: error,
  });
}

function otherFolder(bucket: string, isEmpty: boolean): Fault {
  const what = isEmpty ? 'is empty, which it was not before' : 'lies on another disk than before';
  return unavailable(`The folder of bucket "${bucket}" ${what}; is its disk mounted?`, {
    reason: 'folder_missing',
    hint: `Mount its disk, or create the folder ${privateFolder} in it when it is the one that is meant.`,
  });
}

async function isEmptyFolder(path: string): Promise<boolean> {
  await using folder = await opendir(path, { bufferSize: 1 });
  return (await folder.read()) === null;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
