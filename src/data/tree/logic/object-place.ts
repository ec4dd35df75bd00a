import { invalidArgument } from '#kernel/fault.ts';
import type { Datasource } from './datasources.ts';

/** Where storage has what lies at a path of a datasource; the empty `key` is the bucket itself. */
export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

/** A datasource is a bucket, or has buckets as its first folders. `path` is not empty. */
export function objectPlace({ name, hasBuckets }: Pick<Datasource, 'name' | 'hasBuckets'>, path: string): ObjectPlace {
  if (!hasBuckets) return { bucket: name, key: path };
  const slash = path.indexOf('/');
  return slash < 0 ? { bucket: path, key: '' } : { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
}

/** The same for a file, which only lies in a bucket. Errors: `invalid_argument` with reason `file_beside_buckets`. */
export function filePlace(datasource: Pick<Datasource, 'name' | 'hasBuckets'>, path: string): ObjectPlace {
  const place = objectPlace(datasource, path);
  if (place.key !== '') return place;
  throw invalidArgument(`Cannot use ${datasource.name}/${path} as a file: there are only buckets in ${datasource.name}`, {
    reason: 'file_beside_buckets',
    hint: `Name a file in a bucket, such as "${datasource.name}/${path}/file.txt".`,
  });
}
