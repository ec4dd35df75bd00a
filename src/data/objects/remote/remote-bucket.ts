import { createHash } from 'node:crypto';
import { Code, Fault, notFound } from '#kernel/fault.ts';
import { uriEncode } from '#lib/uri-encode.ts';
import { parseXml, writeXml, xml } from '#lib/xml.ts';
import type {
  Backend,
  ByteStream,
  CopyOptions,
  Deleted,
  ListPage,
  ListQuery,
  NewObject,
  ObjectBody,
  ObjectContent,
  ObjectInfo,
  PutOptions,
  WriteCondition,
} from '#s3/backend.ts';
import type { Tags } from '#s3/bucket-settings.ts';
import type { RemoteClient } from '#s3/remote/remote-client.ts';
import { listRemote, type RemotePlace } from '#s3/remote/remote-listing.ts';
import { readInfo, writeHeaders } from '#s3/remote/remote-objects.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { Change } from '../logic/change.ts';
import { putRemote, type RemoteCondition, type RemoteObject } from './remote-uploads.ts';

export interface RemoteBucketOptions extends RemotePlace {
  readonly client: RemoteClient;
  /** Called after each write that the server has acknowledged. */
  readonly record: (change: Omit<Change, 'bucket'>) => Promise<void>;
}

type Version = string | undefined;

/** How often a read begins anew when the object is replaced under it. */
const attemptsMax = 3;
/** Source: S3, CopyObject. */
const copyBytesMax = 5 * 1024 ** 3;
const deletePageMax = 1000;

/** The objects of one bucket of another server, or of a prefix in it, by the keys they have below it. */
export class RemoteBucket {
  readonly #options: RemoteBucketOptions;
  readonly client: RemoteClient;

  constructor(options: RemoteBucketOptions) {
    this.#options = options;
    this.client = options.client;
  }

  get place(): RemotePlace {
    return this.#options;
  }

  /** Where a key of ours is there. */
  at(key: string): RemoteObject {
    const { bucket, prefix } = this.#options;
    return { bucket, key: prefix + key };
  }

  /** Errors: when the server does not answer, does not let us in or has no such bucket. */
  async check(): Promise<void> {
    await this.list({ prefix: '', delimiter: '/', after: '', limit: 1 });
  }

  list(query: ListQuery): Promise<ListPage> {
    return listRemote(this.client, this.#options, query);
  }

  async head(key: string, versionId?: Version): Promise<ObjectInfo> {
    const target = this.at(key);
    const query = { versionId: givenVersion(versionId) };
    const headers = await this.client.headers({
      method: 'HEAD',
      ...target,
      query,
      headers: { 'x-amz-checksum-mode': 'ENABLED' },
    });
    const info = readInfo(key, headers);
    return Number(headers['x-amz-tagging-count'] ?? 0) > 0 ? { ...info, tags: await this.#tags(target, query) } : info;
  }

  async headOrNothing(key: string): Promise<ObjectInfo | undefined> {
    try {
      return await this.head(key);
    } catch (error) {
      if (error instanceof Fault && error.reason === 'no_such_key') return undefined;
      throw error;
    }
  }

  async get(key: string, select: Parameters<Backend['get']>[1], versionId?: Version): Promise<ObjectContent> {
    for (let attempt = 1; ; attempt++) {
      const info = await this.head(key, versionId);
      const range = select(info);
      if (info.sizeBytes === 0 || (range && range.last < range.first)) return { info, range, body: new Uint8Array() };
      try {
        const answer = await this.client.send({
          method: 'GET',
          ...this.at(key),
          query: { versionId: givenVersion(versionId) },
          headers: { 'if-match': `"${info.etag}"`, ...(range ? { range: `bytes=${range.first}-${range.last}` } : {}) },
        });
        const body: ByteStream = {
          [Symbol.asyncIterator]: () => answer[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
          [Symbol.asyncDispose]: async () => void answer.destroy(),
        };
        return { info, range, body };
      } catch (error) {
        if (!isChanged(error) || attempt === attemptsMax) throw error;
      }
    }
  }

  async put(key: string, body: ObjectBody, options: PutOptions): Promise<ObjectInfo> {
    await this.#conditionally(key, options.condition, (condition) =>
      putRemote(this.client, this.at(key), body, options, condition),
    );
    return await this.written(key);
  }

  /** What is there after a write, told to those who follow. */
  async written(key: string): Promise<ObjectInfo> {
    const info = await this.head(key);
    const { sizeBytes, mtimeMs, etag } = info;
    await this.#options.record({ key, kind: key.endsWith('/') ? 'mkdir' : 'put', sizeBytes, mtimeMs, etag });
    return info;
  }

  record(change: Omit<Change, 'bucket' | 'sizeBytes' | 'mtimeMs' | 'etag'> & Partial<Change>): Promise<void> {
    return this.#options.record({ sizeBytes: 0, mtimeMs: 0, etag: '', ...change });
  }

  async delete(
    key: string,
    versionId: Version,
    condition: ((found: ObjectInfo | undefined) => void) | undefined,
  ): Promise<Deleted> {
    const query = { versionId: givenVersion(versionId) };
    if (condition) {
      const found = await this.headOrNothing(key);
      if (found) condition(found);
    }
    const headers = await this.client.headers({ method: 'DELETE', ...this.at(key), query });
    await this.record({ key, kind: 'delete' });
    const made = headers['x-amz-version-id'];
    return {
      isDeleteMarker: headers['x-amz-delete-marker'] === 'true',
      ...(typeof made === 'string' ? { versionId: made } : {}),
    };
  }

  /** Deletes many without telling anybody. Errors: the first that was not deleted. */
  async deleteAll(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += deletePageMax) {
      const page = keys.slice(from, from + deletePageMax).map((key) => xml('Object', [xml('Key', this.at(key).key)]));
      const body = Buffer.from(writeXml({ name: 'Delete', children: [xml('Quiet', true), ...page] }));
      const headers = { 'content-md5': createHash('md5').update(body).digest('base64'), 'content-type': 'application/xml' };
      const { bucket } = this.#options;
      const result = parseXml(
        await this.client.text({ method: 'POST', bucket, query: { delete: '' }, headers, body }),
        'DeleteResult',
      );
      const [failed] = result.all('Error');
      if (!failed) continue;
      throw new Fault(
        Code.Unavailable,
        `${failed.value('Key')} was not deleted: ${failed.value('Message') ?? failed.value('Code')}`,
        {
          reason: 'remote_unavailable',
        },
      );
    }
  }

  /** `from` is of the same account. */
  async copy(from: RemoteBucket, source: string, versionId: Version, key: string, options: CopyOptions): Promise<ObjectInfo> {
    const info = await from.head(source, versionId);
    options.sourceCondition?.(info);
    const { headers = info.headers, tags = info.tags } = options;
    if (info.sizeBytes > copyBytesMax) {
      await using body = storedBody(await from.get(source, () => undefined, versionId));
      return await this.put(key, body, { ...options, headers, tags });
    }
    await this.#conditionally(key, options.condition, async (condition) => {
      const at = from.at(source);
      const version = givenVersion(versionId);
      const text = await this.client.text({
        method: 'PUT',
        ...this.at(key),
        headers: {
          ...writeHeaders({ ...options, headers, tags } as NewObject),
          ...condition,
          'x-amz-copy-source': uriEncode(`/${at.bucket}/${at.key}`, true) + (version ? `?versionId=${uriEncode(version)}` : ''),
          'x-amz-copy-source-if-match': `"${info.etag}"`,
          'x-amz-metadata-directive': 'REPLACE',
          'x-amz-tagging-directive': 'REPLACE',
        },
        answerMsMax: 600_000,
      });
      if (!/<Error[ >]/.test(text)) return;
      throw new Fault(Code.Unavailable, `It was not copied there: ${parseXml(text, 'Error').value('Message')}`, {
        reason: 'remote_unavailable',
      });
    });
    return await this.written(key);
  }

  async setTags(key: string, versionId: Version, tags: Tags): Promise<void> {
    const children = Object.entries(tags).map(([name, value]) => xml('Tag', [xml('Key', name), xml('Value', value)]));
    const body = Buffer.from(writeXml({ name: 'Tagging', children: [xml('TagSet', children)] }));
    const headers = { 'content-md5': createHash('md5').update(body).digest('base64'), 'content-type': 'application/xml' };
    await this.client.headers({
      method: 'PUT',
      ...this.at(key),
      query: { tagging: '', versionId: givenVersion(versionId) },
      headers,
      body,
    });
  }

  /** Lets a condition look at what is there, and the server refuse when that changes before the write. */
  async #conditionally<T>(
    key: string,
    condition: WriteCondition | undefined,
    write: (condition: RemoteCondition) => Promise<T>,
  ): Promise<T> {
    if (!condition) return await write(undefined);
    const current = await this.headOrNothing(key);
    condition(current);
    try {
      return await write(current ? { 'if-match': `"${current.etag}"` } : { 'if-none-match': '*' });
    } catch (error) {
      // It says in its own words what it does not want of what is there now.
      if (isChanged(error)) condition(await this.headOrNothing(key));
      throw error;
    }
  }

  async #tags(target: RemoteObject, query: { readonly versionId: Version }): Promise<Tags> {
    const text = await this.client.text({ method: 'GET', ...target, query: { tagging: '', ...query } });
    const [set] = parseXml(text, 'Tagging').all('TagSet');
    return Object.fromEntries((set?.all('Tag') ?? []).map((tag) => [tag.value('Key') ?? '', tag.value('Value') ?? '']));
  }
}

/** The word for what was written before there were versions is what a server without them has. */
const givenVersion = (versionId: Version): Version => (versionId === 'null' ? undefined : versionId);

const isChanged = (error: unknown): boolean => error instanceof Fault && error.reason === 'changed_meanwhile';

export function missingKey(key: string): Fault {
  return notFound(`There is no ${JSON.stringify(key)}`, { reason: 'no_such_key' });
}
