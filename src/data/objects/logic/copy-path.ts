import { alreadyExists, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import type { FolderBackend } from './folder-backend.ts';
import type { Entry } from './folder-tree.ts';

export interface CopyPathOptions {
  readonly from: string;
  readonly to: string;
  /** Files that are there are replaced, folders that are there are filled. */
  readonly isOverwriting: boolean;
  readonly signal: AbortSignal;
}

const pageSize = 1000;

/**
 * Copies a file, or a folder with all in it, within a bucket. Result: how many files.
 *
 * Each file is visible only when whole; a copy of a folder that fails midway leaves the files copied so far.
 * Errors: `no_such_key`; `already_exists` with reason `key_exists`; `invalid_argument` for a folder into itself.
 */
export async function copyPath(backend: FolderBackend, bucket: string, options: CopyPathOptions): Promise<number> {
  const { from, to, isOverwriting, signal } = options;
  const source = await backend.stat(bucket, from);
  const target = await statOrNothing(backend, bucket, to);
  if (target && !isOverwriting)
    throw alreadyExists(`Cannot copy to ${JSON.stringify(to)}: something is there`, { reason: 'key_exists' });
  if (target && target.kind !== source.kind) {
    throw failedPrecondition(`Cannot copy to ${JSON.stringify(to)}: a ${target.kind} is there`, { reason: 'key_conflict' });
  }
  if (source.kind === 'file') {
    await copyFile(backend, bucket, from, to, isOverwriting);
    return 1;
  }
  if (`${to}/`.startsWith(`${from}/`))
    throw invalidArgument(`Cannot copy folder ${JSON.stringify(from)} into itself`, { reason: 'key_conflict' });
  await backend.mkdir(bucket, to);
  let files = 0;
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page = await backend.list(bucket, { prefix: `${from}/`, delimiter: '', after, limit: pageSize });
    for (const { key } of page.objects) {
      signal.throwIfAborted();
      const newKey = to + key.slice(from.length);
      if (newKey === `${to}/`) continue;
      if (key.endsWith('/')) await backend.mkdir(bucket, newKey);
      else await copyFile(backend, bucket, key, newKey, isOverwriting);
      if (!key.endsWith('/')) files += 1;
    }
    after = page.next;
  }
  return files;
}

async function copyFile(backend: FolderBackend, bucket: string, from: string, to: string, isOverwriting: boolean): Promise<void> {
  await backend.copy(
    { bucket, key: from },
    { bucket, key: to },
    {
      condition: isOverwriting
        ? undefined
        : (current) => {
            if (current)
              throw alreadyExists(`Cannot copy to ${JSON.stringify(to)}: something is there`, { reason: 'key_exists' });
          },
    },
  );
}

async function statOrNothing(backend: FolderBackend, bucket: string, key: string): Promise<Entry | undefined> {
  try {
    return await backend.stat(bucket, key);
  } catch (error) {
    if (error instanceof Error && 'reason' in error && error.reason === 'no_such_key') return undefined;
    throw error;
  }
}
