import { uriEncode } from '#lib/uri-encode.ts';
import { type XmlChild, xml } from '#lib/xml.ts';
import type { ListPage, ListQuery } from './backend.ts';
import { S3Error } from './errors.ts';
import { quoteEtag } from './object-headers.ts';
import { isoTime, owner } from './xml-result.ts';

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
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
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

export const emptyPage: ListPage = { objects: [], commonPrefixes: [], next: undefined };

/** What to ask the backend for; a limit of nothing is answered without it. */
export const listQuery = ({ prefix, delimiter, limit }: ListParameters, after: string): ListQuery => ({
  prefix,
  delimiter,
  limit,
  after,
});

/** `Contents` and `CommonPrefixes`. */
export function pageElements(page: ListPage, { encode }: ListParameters, withOwner: boolean): XmlChild[] {
  const objects = page.objects.map((object) =>
    xml('Contents', [
      xml('Key', encode(object.key)),
      xml('LastModified', isoTime(object.mtimeMs)),
      xml('ETag', quoteEtag(object.etag)),
      xml('Size', object.sizeBytes),
      withOwner && owner(),
      xml('StorageClass', 'STANDARD'),
    ]),
  );
  return [...objects, ...page.commonPrefixes.map((prefix) => xml('CommonPrefixes', [xml('Prefix', encode(prefix))]))];
}
