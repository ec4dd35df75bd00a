import { isNameText } from '#lib/escaped-name.ts';
import type { DatasourcePlan } from '../../plan.ts';

/** What the index takes. */
const pathBytesMax = 4096;

/**
 * The path in the tree of a key in a bucket; where folders are buckets, the bucket comes first. `undefined` for keys that cannot be the name
 * of a file, which are seen over S3 only. The empty key is the bucket itself.
 */
export function pathOfKey(bucket: string, key: string, { kind }: Pick<DatasourcePlan, 'kind'>): string | undefined {
  const inBucket = key.endsWith('/') ? key.slice(0, -1) : key;
  const path = kind !== 'buckets' ? inBucket : key === '' ? bucket : `${bucket}/${inBucket}`;
  const isFile = path.split('/').every((name) => name !== '' && name !== '.' && name !== '..') && !path.includes('\0');
  return (path === '' || isFile) && Buffer.byteLength(path) <= pathBytesMax && isNameText(path) ? path : undefined;
}
