import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { aborted, Fault } from '#kernel/fault.ts';
import type { Micro } from '#kernel/services/service.ts';
import { type ByteRange, rangeSizeBytes } from '#lib/byte-range.ts';
import type { ObjectContent, ObjectInfo, ObjectRef } from '#s3/backend.ts';
import type { BucketSettings } from '#s3/bucket-settings.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { DatasourcePlan } from '../plan.ts';
import type { FolderBackend } from './logic/folder-backend.ts';

const indexService = 'cellar.grpc.data.index.';

/**
 * A backend that copies from the buckets of other objects services as well, through their contract. Whether the caller may read there is
 * decided by what is set for the bucket there. Everything else is asked of its own buckets only.
 */
export function withOtherBuckets(
  own: FolderBackend,
  { registry, client, name }: Pick<Micro, 'registry' | 'client' | 'name'>,
): FolderBackend {
  /** The service that has a bucket which is none of ours; undefined: nobody, as far as is known. */
  const serviceOf = (bucket: string): string | undefined => {
    const declared = registry.get(indexService + bucket)?.plan as DatasourcePlan | undefined;
    const plans = registry.all
      .filter(({ service }) => service.startsWith(indexService))
      .map(({ plan }) => plan as DatasourcePlan);
    const found = declared && declared.kind !== 'buckets' ? declared : plans.find(({ kind }) => kind === 'buckets');
    return found?.objectsService === name ? undefined : found?.objectsService;
  };

  async function orElsewhere<T>(bucket: string, here: () => Promise<T>, there: (service: string) => Promise<T>): Promise<T> {
    try {
      return await here();
    } catch (error) {
      const service = error instanceof Fault && error.reason === 'no_such_bucket' ? serviceOf(bucket) : undefined;
      if (service === undefined) throw error;
      return await there(service);
    }
  }

  async function read(service: string, { bucket, key, versionId = '' }: ObjectRef, range?: ByteRange): Promise<ObjectContent> {
    const part = range ? { firstByte: BigInt(range.first), length: BigInt(rangeSizeBytes(range)) } : {};
    const request = { bucket, key, versionId, withDetails: true, ...part };
    const pieces = client(Objects, { service }).getObject(request)[Symbol.asyncIterator]();
    const first = await pieces.next();
    if (first.done) throw new Error(`${service} says nothing of an object`);
    const info = JSON.parse(first.value.details) as ObjectInfo;
    const opening = first.value.data;
    const end = async (): Promise<void> => void (await pieces.return?.(undefined));
    return {
      info,
      range,
      body: {
        async *[Symbol.asyncIterator]() {
          if (opening.length > 0) yield opening;
          for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value.data;
        },
        [Symbol.asyncDispose]: end,
      },
    };
  }

  return {
    ...own,
    bucketSettings: (bucket) =>
      orElsewhere(
        bucket,
        () => own.bucketSettings(bucket),
        async (service) => {
          const { settings } = await client(Objects, { service }).getBucketSettings({ bucket });
          return JSON.parse(settings) as BucketSettings;
        },
      ),
    head: (object) =>
      orElsewhere(
        object.bucket,
        () => own.head(object),
        async (service) => {
          const content = await read(service, object);
          await close(content);
          return content.info;
        },
      ),
    get: (object, select, options) =>
      orElsewhere(
        object.bucket,
        () => own.get(object, select, options),
        async (service) => {
          const content = await read(service, object);
          try {
            const range = select(content.info);
            if (!range) return content;
            await close(content);
            const part = await read(service, object, range);
            if (part.info.etag === content.info.etag) return part;
            await close(part);
            throw aborted(`Cannot read ${JSON.stringify(object.key)}: it is being replaced`, { reason: 'changed_meanwhile' });
          } catch (error) {
            await close(content);
            throw error;
          }
        },
      ),
    copy: (source, target, options) =>
      orElsewhere(
        source.bucket,
        () => own.copy(source, target, options),
        async (service) => {
          const content = await read(service, source);
          const { info } = content;
          const [first] = Object.keys(info.checksums) as (keyof typeof info.checksums)[];
          await using body = storedBody(content, options.checksumAlgorithm ?? first);
          options.sourceCondition?.(info);
          const { headers = info.headers, tags = info.tags, ...rest } = options;
          return await own.put(target, body, { ...rest, headers, tags });
        },
      ),
  };
}

async function close({ body }: ObjectContent): Promise<void> {
  if (!(body instanceof Uint8Array)) await body[Symbol.asyncDispose]();
}
