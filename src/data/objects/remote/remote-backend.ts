import { Code, Fault, failedPrecondition } from '#kernel/fault.ts';
import type { ObjectChanges } from '#s3/backend.ts';
import { installation } from '#s3/bucket-settings.ts';
import { type RemoteAccount, RemoteClient } from '#s3/remote/remote-client.ts';
import { listRemoteParts, listRemoteUploads, type RemotePlace } from '#s3/remote/remote-listing.ts';
import type { RecordChange } from '../logic/change.ts';
import type { FolderBackend } from '../logic/folder-backend.ts';
import { RemoteBucket } from './remote-bucket.ts';
import { RemoteTree } from './remote-tree.ts';
import { abortRemoteUpload, completeRemoteUpload, createRemoteUpload, putRemotePart } from './remote-uploads.ts';

export interface RemoteDeclaration extends RemotePlace {
  /** The name of the bucket here. */
  readonly name: string;
  readonly account: RemoteAccount;
}

export interface RemoteBackendOptions {
  readonly buckets: readonly RemoteDeclaration[];
  readonly record: RecordChange;
  /** Aborts what is under way. */
  readonly signal: AbortSignal;
  readonly now?: () => number;
}

/**
 * Buckets of another S3 server. Versions, access lists and settings of buckets stay a matter of that server; an upload in parts is one
 * there, with its id.
 * Errors: beyond those of `Backend`, `unavailable` with reason `remote_unreachable`, `remote_credentials`, `remote_bucket_missing` or
 * `remote_unavailable`; `unimplemented` for what is not passed on.
 */
export function createRemoteBackend({ buckets, record, signal, now = Date.now }: RemoteBackendOptions): FolderBackend {
  const startMs = now();
  const opened = new Map(
    buckets.map(({ name, account, bucket, prefix }) => {
      const client = new RemoteClient({ account, signal, now });
      signal.addEventListener('abort', () => client.close(), { once: true });
      const one = new RemoteBucket({ client, bucket, prefix, record: (change) => record({ bucket: name, ...change }) });
      return [name, { bucket: one, tree: new RemoteTree(one) }] as const;
    }),
  );
  const find = (name: string): { readonly bucket: RemoteBucket; readonly tree: RemoteTree } => {
    const found = opened.get(name);
    if (found) return found;
    throw new Fault(Code.NotFound, `The specified bucket does not exist: ${JSON.stringify(name)}`, { reason: 'no_such_bucket' });
  };
  const on = (name: string): RemoteBucket => find(name).bucket;
  const upload = ({ bucket, key, uploadId }: { readonly bucket: string; readonly key: string; readonly uploadId: string }) => ({
    ...on(bucket).at(key),
    uploadId,
  });
  return {
    listBuckets: async () => [...opened.keys()].sort().map((name) => ({ name, createdMs: startMs, owner: installation })),
    async headBucket(name) {
      await on(name).check();
      return { name, createdMs: startMs, owner: installation };
    },
    createBucket: async (name) => {
      throw opened.has(name)
        ? new Fault(Code.AlreadyExists, `There is a bucket ${JSON.stringify(name)}`, { reason: 'bucket_exists' })
        : failedPrecondition('Buckets cannot be made here: they are declared');
    },
    deleteBucket: async () => {
      throw new Fault(Code.PermissionDenied, 'A remote datasource is removed by an administrator', { reason: 'bucket_declared' });
    },
    bucketSettings: async (name) => {
      find(name);
      return { owner: installation };
    },
    changeBucketSettings: () => Promise.reject(notPassedOn('settings of a bucket')),

    list: (name, query) => on(name).list(query),
    /** Only what is current: older versions stay a matter of the other server. */
    async listVersions(name, query) {
      const { objects, commonPrefixes, next } = await on(name).list(query);
      const versions = objects.map((object) => ({ ...object, versionId: 'null', isLatest: true, isDeleteMarker: false }));
      const isKey = next !== undefined && objects.at(-1)?.key === next;
      return {
        versions,
        commonPrefixes,
        next: next === undefined ? undefined : { key: next, ...(isKey ? { versionId: 'null' } : {}) },
      };
    },
    head: ({ bucket, key, versionId }) => on(bucket).head(key, versionId),
    get: ({ bucket, key, versionId }, select) => on(bucket).get(key, select, versionId),
    put: ({ bucket, key }, body, options) => on(bucket).put(key, body, options),
    async update({ bucket, key, versionId }, change) {
      const current = await on(bucket).head(key, versionId);
      const changes = change(current);
      if ((['acl', 'retention', 'hasLegalHold'] as const satisfies (keyof ObjectChanges)[]).some((name) => name in changes))
        throw notPassedOn('access lists and locks of objects');
      if ('tags' in changes) await on(bucket).setTags(key, versionId, changes.tags ?? {});
      return { ...current, ...('tags' in changes ? { tags: changes.tags ?? {} } : {}) };
    },
    delete: ({ bucket, key, versionId }, { condition } = {}) => on(bucket).delete(key, versionId, condition),
    copy: (source, target, options) =>
      on(target.bucket).copy(on(source.bucket), source.key, source.versionId, target.key, options),

    createUpload: ({ bucket, key }, options) => createRemoteUpload(on(bucket).client, on(bucket).at(key), options),
    async headUpload(name) {
      // What it was begun with is not told again.
      await listRemoteParts(on(name.bucket).client, upload(name), 1);
      return { key: name.key, uploadId: name.uploadId, initiatedMs: startMs, checksum: undefined };
    },
    putPart: (name, partNumber, body) => putRemotePart(on(name.bucket).client, upload(name), partNumber, body),
    async completeUpload(name, parts, { condition } = {}) {
      const bucket = on(name.bucket);
      if (condition) condition(await bucket.headOrNothing(name.key));
      await completeRemoteUpload(bucket.client, upload(name), parts, undefined);
      return await bucket.written(name.key);
    },
    abortUpload: (name) => abortRemoteUpload(on(name.bucket).client, upload(name)),
    listParts: (name) => listRemoteParts(on(name.bucket).client, upload(name)),
    listUploads: (name) => listRemoteUploads(on(name).client, on(name).place),

    stat: (name, path) => find(name).tree.stat(path),
    mkdir: (name, path) => find(name).tree.mkdir(path),
    move: (name, from, to, options) => find(name).tree.move(from, to, options),
    removeFolder: (name, path, options) => find(name).tree.removeFolder(path, options),
    sweep: async () => undefined,
  };
}

function notPassedOn(what: string): Fault {
  return new Fault(Code.Unimplemented, `A remote datasource has no ${what} here`, {
    reason: 'remote_unimplemented',
    hint: 'Set them at the other server.',
  });
}
