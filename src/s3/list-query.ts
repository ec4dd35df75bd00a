import { type ChecksumAlgorithm, checksumAlgorithms } from '#lib/checksum.ts';
import { isoTime } from '#lib/iso-time.ts';
import { uriEncode } from '#lib/uri-encode.ts';
import { escapeXml } from '#lib/xml.ts';
import type { S3Answer } from './answer.ts';
import type { Backend, Checksums, ListedObject, ListPage } from './backend.ts';
import type { Owner } from './bucket-settings.ts';
import { S3Error } from './errors.ts';
import { namespace } from './xml-result.ts';

const limitMax = 1_000;

/** The parameters that all listings share. */
export interface ListParameters {
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  /** Writes a key as the client asked for it: as it is, or percent-encoded. */
  readonly encode: (text: string) => string;
  readonly encodingType: string | undefined;
}

/** Errors: `InvalidArgument` for a limit or encoding that cannot be. */
export function readListParameters(query: ReadonlyMap<string, string>, limitName = 'max-keys'): ListParameters {
  const encodingType = query.get('encoding-type');
  if (encodingType !== undefined && encodingType !== 'url') {
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {
      fields: { ArgumentName: 'encoding-type', ArgumentValue: encodingType },
    });
  }
  const delimiter = query.get('delimiter') ?? '';
  if (delimiter !== '' && query.get('allow-unordered') === 'true')
    throw new S3Error('InvalidArgument', 'allow-unordered cannot be used with a delimiter');
  return {
    prefix: query.get('prefix') ?? '',
    delimiter,
    limit: Math.min(readCount(query, limitName) ?? limitMax, limitMax),
    encode: encodingType === 'url' ? (text) => uriEncode(text, true) : (text) => text,
    encodingType,
  };
}

/** A count in the query. Errors: `InvalidArgument` when it is not a whole number between 0 and 2^31-1. */
export function readCount(query: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = query.get(name);
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 2 ** 31 - 1) {
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {
      fields: { ArgumentName: name, ArgumentValue: text },
    });
  }
  return Number(text);
}

/** One page of objects; a limit of nothing is answered without looking, once the bucket is known to be there. */
export async function listPage(backend: Backend, bucket: string, parameters: ListParameters, after: string): Promise<ListPage> {
  const { prefix, delimiter, limit } = parameters;
  if (limit > 0) return await backend.list(bucket, { prefix, delimiter, limit, after });
  await backend.headBucket(bucket);
  return { objects: [], commonPrefixes: [], next: undefined };
}

// Listings are long, so they are written as text at once and not as a tree of elements.

/** `<name>content</name>`. */
export const tag = (name: string, content: string | number | boolean): string =>
  `<${name}>${typeof content === 'string' ? escapeXml(content) : content}</${name}>`;

/** The answer whose root has `pieces` as its content. */
export function listAnswer(root: string, pieces: readonly string[]): S3Answer {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${namespace}">${pieces.join('')}</${root}>`;
  return { headers: { 'content-type': 'application/xml' }, content: Buffer.from(text) };
}

export const ownerText = ({ id, displayName }: Owner): string =>
  `<Owner><ID>${escapeXml(id)}</ID><DisplayName>${escapeXml(displayName)}</DisplayName></Owner>`;

/** `Contents` of each object, with its owner when `owner`, that of the bucket, is given. */
export function contentsText(objects: readonly ListedObject[], { encode }: ListParameters, owner: Owner | undefined): string {
  const bucketOwner = owner ? ownerText(owner) : '';
  let text = '';
  for (const object of objects) {
    const whose = owner && object.owner ? ownerText(object.owner) : bucketOwner;
    const checksum = object.checksums ? checksumText(object.checksums) : '';
    text += `<Contents><Key>${escapeXml(encode(object.key))}</Key><LastModified>${isoTime(object.mtimeMs)}</LastModified><ETag>&quot;${object.etag}&quot;</ETag>${checksum}<Size>${object.sizeBytes}</Size>${whose}<StorageClass>${object.storageClass ?? 'STANDARD'}</StorageClass></Contents>`;
  }
  return text;
}

/** Made once: a word in capitals for each of a million objects is a text of its own. */
const algorithmTags: Readonly<Record<string, string>> = Object.fromEntries(
  checksumAlgorithms.map((algorithm) => [algorithm, `<ChecksumAlgorithm>${algorithm.toUpperCase()}</ChecksumAlgorithm>`]),
);

function checksumText(checksums: Checksums): string {
  let text = '';
  for (const algorithm in checksums) {
    const isComposite = checksums[algorithm as ChecksumAlgorithm]?.includes('-');
    text += `${algorithmTags[algorithm]}<ChecksumType>${isComposite ? 'COMPOSITE' : 'FULL_OBJECT'}</ChecksumType>`;
  }
  return text;
}

export const prefixesText = (prefixes: readonly string[], { encode }: ListParameters): string =>
  prefixes.map((prefix) => `<CommonPrefixes><Prefix>${escapeXml(encode(prefix))}</Prefix></CommonPrefixes>`).join('');
