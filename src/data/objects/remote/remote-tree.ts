import { alreadyExists, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import type { ListedObject, ObjectInfo } from '#s3/backend.ts';
import type { Entry } from '../logic/folder-tree.ts';
import { missingKey, type RemoteBucket } from './remote-bucket.ts';

const pageKeys = 1000;

/**
 * The verbs that a tree needs, made of those that S3 has. A folder is there while a key lies below it, or a marker, the empty object with
 * a slash at its end, stands for it. Moving is copying and then deleting: cut off in between, some lie at both places and nothing is lost.
 */
export class RemoteTree {
  readonly #bucket: RemoteBucket;

  constructor(bucket: RemoteBucket) {
    this.#bucket = bucket;
  }

  /** Errors: `no_such_key`. */
  async stat(path: string): Promise<Entry> {
    const info = path === '' || path.endsWith('/') ? undefined : await this.#bucket.headOrNothing(path);
    if (info) return { kind: 'file', info };
    const key = path === '' ? '' : folderKey(path);
    const { objects } = await this.#bucket.list({ prefix: key, delimiter: '', after: '', limit: 1 });
    const [first] = objects;
    if (!first && key !== '') throw missingKey(path);
    return { kind: 'folder', info: folderInfo(key, first) };
  }

  async mkdir(path: string): Promise<ObjectInfo> {
    const key = folderKey(path);
    const file = await this.#bucket.headOrNothing(key.slice(0, -1));
    if (file) throw failedPrecondition(`Cannot make folder ${JSON.stringify(path)}: a file is there`, { reason: 'key_conflict' });
    await this.#bucket.client.headers({ method: 'PUT', ...this.#bucket.at(key), body: new Uint8Array() });
    return await this.#bucket.written(key);
  }

  /** Errors: `no_such_key`; `already_exists` with reason `key_exists`; `invalid_argument` for a folder into itself. */
  async move(from: string, to: string, { replace = false }: { readonly replace?: boolean } = {}): Promise<void> {
    const { kind } = await this.stat(from);
    if (from === to) return;
    const there = await this.stat(to).catch(missingOnly);
    if (there && !(replace && kind === 'file' && there.kind === 'file'))
      throw alreadyExists(`Cannot move to ${JSON.stringify(to)}: something is there`, { reason: 'key_exists' });
    const bucket = this.#bucket;
    if (kind === 'file') {
      const { sizeBytes, mtimeMs, etag } = await bucket.copy(bucket, from, undefined, to, {});
      await bucket.deleteAll([from]);
      await bucket.record({ key: to, kind: 'move', fromKey: from, sizeBytes, mtimeMs, etag });
      return;
    }
    const [fromKey, toKey] = [folderKey(from), folderKey(to)];
    if (toKey.startsWith(fromKey))
      throw invalidArgument(`Cannot move folder ${JSON.stringify(from)} into itself`, { reason: 'key_conflict' });
    const keys = await this.#keysBelow(fromKey);
    for (const key of keys) await bucket.copy(bucket, key, undefined, toKey + key.slice(fromKey.length), {});
    await bucket.deleteAll(keys);
    await bucket.record({ key: toKey, kind: 'move', fromKey });
  }

  /** Errors: `no_such_key`; `failed_precondition` with reason `folder_not_empty`. */
  async removeFolder(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): Promise<void> {
    const key = folderKey(path);
    const keys = await this.#keysBelow(key);
    if (keys.length === 0) throw missingKey(path);
    if (!recursive && keys.some((one) => one !== key)) {
      throw failedPrecondition(`Cannot remove folder ${JSON.stringify(path)}: it is not empty`, { reason: 'folder_not_empty' });
    }
    await this.#bucket.deleteAll(keys);
    await this.#bucket.record({ key, kind: 'delete' });
  }

  async #keysBelow(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await this.#bucket.list({ prefix, delimiter: '', after, limit: pageKeys });
      for (const { key } of page.objects) keys.push(key);
      after = page.next;
    }
    return keys;
  }
}

const folderKey = (path: string): string => (path.endsWith('/') ? path : `${path}/`);

/** A folder is as old as what is known of it. */
function folderInfo(key: string, first: ListedObject | undefined): ObjectInfo {
  return { key, sizeBytes: 0, mtimeMs: first?.mtimeMs ?? 0, etag: '', headers: {}, checksums: {} };
}

function missingOnly(error: unknown): undefined {
  if (error instanceof Error && 'reason' in error && error.reason === 'no_such_key') return undefined;
  throw error;
}
