import { readNewObjectAccess } from './access/new-object-access.ts';
import type { NewObject } from './backend.ts';
import type { BucketSettings } from './bucket-settings.ts';
import type { S3Call } from './call.ts';
import { readEncryption } from './encryption-headers.ts';
import { S3Error } from './errors.ts';
import { readObjectHeaders } from './object-headers.ts';
import { readLockHeaders } from './object-lock.ts';
import { readTagHeader } from './tagging.ts';

/** Classes whose objects can be read at once; they are kept as a word, since there is one kind of disk. */
const storageClasses = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);

/** Errors: `InvalidStorageClass`. */
export function readStorageClass(headers: ReadonlyMap<string, string>): string | undefined {
  const word = headers.get('x-amz-storage-class');
  if (word === undefined || word === 'STANDARD') return undefined;
  if (!storageClasses.has(word)) throw new S3Error('InvalidStorageClass', undefined, { fields: { StorageClassRequested: word } });
  return word;
}

/** Everything the headers of a write say about the new object, with what its bucket presets. */
export async function readNewObject(call: S3Call, settings: BucketSettings): Promise<NewObject> {
  const { headers, nowMs } = call;
  return {
    headers: readObjectHeaders(call),
    tags: readTagHeader(headers.get('x-amz-tagging')),
    ...(await readNewObjectAccess(call, settings)),
    storageClass: readStorageClass(headers),
    encryption: readEncryption(headers, settings),
    ...readLockHeaders(headers, settings, nowMs),
  };
}
