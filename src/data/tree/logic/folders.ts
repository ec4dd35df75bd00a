import type { Call } from '#kernel/calls/call.ts';
import { Fault } from '#kernel/fault.ts';
import type { Datasource } from './datasources.ts';
import { objectPlace } from './object-place.ts';

/** Makes a folder and its missing parents; a first folder among buckets is one. Result: the position of storage that covers it. */
export async function makeFolderAt(call: Call, datasource: Datasource, path: string): Promise<bigint> {
  const { bucket, key } = objectPlace(datasource, path);
  const { objects } = datasource;
  if (!datasource.hasBuckets) return (await objects.makeFolder({ bucket, key }, { call })).position;
  let { position } = await objects.createBucket({ bucket }, { call }).catch((error: unknown) => {
    if (!(error instanceof Fault) || error.reason !== 'bucket_exists') throw error;
    return objects.getChangePosition({}, { call });
  });
  if (key !== '') ({ position } = await objects.makeFolder({ bucket, key }, { call }));
  return position;
}

/** Deletes a file, or a folder, which is a bucket when it is a first one among buckets. Result: as of `makeFolderAt`. */
export async function deleteAt(call: Call, datasource: Datasource, path: string, recursive: boolean): Promise<bigint> {
  const { bucket, key } = objectPlace(datasource, path);
  const { objects } = datasource;
  const { position } =
    key === ''
      ? await objects.deleteBucket({ bucket, recursive }, { call })
      : await objects.deletePath({ bucket, key, recursive }, { call });
  return position;
}
