import { Fault, failedPrecondition } from '#kernel/fault.ts';
import type { FolderBackend } from '../logic/folder-backend.ts';

/**
 * A tree has no file beside a folder of its name, and none below a file. S3 tools may write such keys, which then are no files; what comes
 * from the tree must be seen there. When others put something in the way right after this, it is seen by S3 tools only.
 * Errors: `failed_precondition` with reason `key_conflict`; `invalid_argument` for keys that no file can have.
 */
export async function assertFilePlace(backend: Pick<FolderBackend, 'stat'>, bucket: string, key: string): Promise<void> {
  if ((await kindAt(backend, bucket, key)) === 'folder') throw taken(key, key, 'folder');
  for (let slash = key.lastIndexOf('/'); slash > 0; slash = key.lastIndexOf('/', slash - 1)) {
    const folder = key.slice(0, slash);
    const kind = await kindAt(backend, bucket, folder);
    if (kind === 'file') throw taken(key, folder, 'file');
    if (kind === 'folder') return;
  }
}

async function kindAt(
  backend: Pick<FolderBackend, 'stat'>,
  bucket: string,
  path: string,
): Promise<'file' | 'folder' | undefined> {
  try {
    return (await backend.stat(bucket, path)).kind;
  } catch (error) {
    if (error instanceof Fault && error.reason === 'no_such_key') return undefined;
    throw error;
  }
}

function taken(key: string, path: string, kind: string): Fault {
  return failedPrecondition(`Cannot write ${JSON.stringify(key)}: there is a ${kind} at ${JSON.stringify(path)}`, {
    reason: 'key_conflict',
    hint: 'Choose another name, or move that away first.',
  });
}
