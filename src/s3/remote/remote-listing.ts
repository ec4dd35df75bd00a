import { compareUtf8 } from '#lib/utf8-order.ts';
import { parseXml, type XmlNode } from '#lib/xml.ts';
import type { ListedObject, ListPage, ListQuery, PartInfo, UploadInfo } from '../backend.ts';
import type { RemoteClient } from './remote-client.ts';
import { plainEtag } from './remote-objects.ts';

/** A bucket there, or what lies below a prefix in it. */
export interface RemotePlace {
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
}

const pageMax = 1000;
/** Comes after every character that a key goes on with. */
const last = '\u{10ffff}';

/** One page of a listing, with keys as they are below the place's prefix. */
export async function listRemote(client: RemoteClient, place: RemotePlace, query: ListQuery): Promise<ListPage> {
  const { prefix, delimiter, after, limit } = query;
  // After a common prefix come the keys behind all that it stands for.
  const from = delimiter !== '' && after.endsWith(delimiter) && after.startsWith(prefix) ? after + last : after;
  const text = await client.text({
    method: 'GET',
    bucket: place.bucket,
    query: {
      'list-type': 2,
      prefix: place.prefix + prefix,
      'max-keys': Math.min(limit, pageMax),
      'encoding-type': 'url',
      ...(delimiter === '' ? {} : { delimiter }),
      // The prefix itself may be an object there, and is none here.
      ...(from === '' && place.prefix === '' ? {} : { 'start-after': place.prefix + from }),
    },
  });
  const result = parseXml(text, 'ListBucketResult');
  const decode = decoderOf(result);
  const below = (key: string): string => key.slice(place.prefix.length);
  const objects = result
    .all('Contents')
    .map((node) => listedObject(below(decode(node.value('Key') ?? '')), node))
    .filter(({ key }) => key !== '' && compareUtf8(key, after) > 0);
  const commonPrefixes = result.all('CommonPrefixes').map((node) => below(decode(node.value('Prefix') ?? '')));
  const ends = [objects.at(-1)?.key, commonPrefixes.at(-1)].filter((key) => key !== undefined).sort(compareUtf8);
  return { objects, commonPrefixes, next: result.value('IsTruncated') === 'true' ? ends.at(-1) : undefined };
}

/** Uploads under way at and below a prefix. */
export async function listRemoteUploads(client: RemoteClient, place: RemotePlace): Promise<UploadInfo[]> {
  const uploads: UploadInfo[] = [];
  let markers: { readonly key: string; readonly id: string } | undefined;
  do {
    const text = await client.text({
      method: 'GET',
      bucket: place.bucket,
      query: {
        uploads: '',
        'encoding-type': 'url',
        ...(place.prefix === '' ? {} : { prefix: place.prefix }),
        ...(markers ? { 'key-marker': markers.key, 'upload-id-marker': markers.id } : {}),
      },
    });
    const result = parseXml(text, 'ListMultipartUploadsResult');
    const decode = decoderOf(result);
    for (const node of result.all('Upload')) {
      const storageClass = node.value('StorageClass');
      uploads.push({
        key: decode(node.value('Key') ?? '').slice(place.prefix.length),
        uploadId: node.value('UploadId') ?? '',
        initiatedMs: Date.parse(node.value('Initiated') ?? '') || 0,
        checksum: undefined,
        ...(storageClass ? { storageClass } : {}),
      });
    }
    markers =
      result.value('IsTruncated') === 'true'
        ? { key: decode(result.value('NextKeyMarker') ?? ''), id: result.value('NextUploadIdMarker') ?? '' }
        : undefined;
  } while (markers);
  return uploads;
}

export async function listRemoteParts(
  client: RemoteClient,
  { bucket, key, uploadId }: { readonly bucket: string; readonly key: string; readonly uploadId: string },
  limit = Number.POSITIVE_INFINITY,
): Promise<PartInfo[]> {
  const parts: PartInfo[] = [];
  for (let marker: string | undefined = '0'; marker !== undefined && parts.length < limit; ) {
    const query = { uploadId, 'part-number-marker': marker, 'max-parts': Math.min(limit, pageMax) };
    const result = parseXml(await client.text({ method: 'GET', bucket, key, query }), 'ListPartsResult');
    for (const node of result.all('Part')) {
      parts.push({
        partNumber: Number(node.value('PartNumber')),
        sizeBytes: Number(node.value('Size')),
        mtimeMs: Date.parse(node.value('LastModified') ?? '') || 0,
        etag: plainEtag(node.value('ETag')),
        checksums: {},
      });
    }
    marker = result.value('IsTruncated') === 'true' ? result.value('NextPartNumberMarker') : undefined;
  }
  return parts;
}

function listedObject(key: string, node: XmlNode): ListedObject {
  const storageClass = node.value('StorageClass');
  const mtimeMs = Date.parse(node.value('LastModified') ?? '') || 0;
  return {
    key,
    sizeBytes: Number(node.value('Size') ?? 0),
    // Other answers have it in whole seconds, and it must be the same everywhere.
    mtimeMs: mtimeMs - (mtimeMs % 1000),
    etag: plainEtag(node.value('ETag')),
    ...(storageClass ? { storageClass } : {}),
  };
}

/** Servers that do not know the encoding answer plainly. */
function decoderOf(result: XmlNode): (text: string) => string {
  return result.value('EncodingType') === 'url' ? (text) => decodeURIComponent(text.replaceAll('+', '%20')) : (text) => text;
}
