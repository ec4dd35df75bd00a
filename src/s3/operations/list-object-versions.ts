import { isoTime } from '#lib/iso-time.ts';
import { escapeXml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { ListedVersion } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { listAnswer, ownerText, prefixesText, readListParameters, tag } from '../list-query.ts';

/** All versions of all keys, by key and from the newest to the oldest of each, delete markers among them. */
export async function listObjectVersions({ backend, bucket, query, settings }: S3Call): Promise<S3Answer> {
  const parameters = readListParameters(query);
  const { prefix, delimiter, limit, encode, encodingType } = parameters;
  const keyMarker = query.get('key-marker') ?? '';
  const versionMarker = query.get('version-id-marker') ?? '';
  if (versionMarker !== '' && keyMarker === '')
    throw new S3Error('InvalidArgument', 'A version-id marker cannot be specified without a key marker.', {
      fields: { ArgumentName: 'version-id-marker', ArgumentValue: versionMarker },
    });
  const { owner } = settings;
  const page =
    limit === 0
      ? { versions: [], commonPrefixes: [], next: undefined }
      : await backend.listVersions(bucket, {
          prefix,
          delimiter,
          limit,
          after: keyMarker,
          afterVersionId: versionMarker || undefined,
        });
  const bucketOwner = ownerText(owner);
  const versionText = (version: ListedVersion): string => {
    const name = version.isDeleteMarker ? 'DeleteMarker' : 'Version';
    const content = version.isDeleteMarker
      ? ''
      : `<ETag>&quot;${escapeXml(version.etag)}&quot;</ETag><Size>${version.sizeBytes}</Size><StorageClass>${version.storageClass ?? 'STANDARD'}</StorageClass>`;
    return `<${name}><Key>${escapeXml(encode(version.key))}</Key><VersionId>${escapeXml(version.versionId)}</VersionId><IsLatest>${version.isLatest}</IsLatest><LastModified>${isoTime(version.mtimeMs)}</LastModified>${content}${version.owner ? ownerText(version.owner) : bucketOwner}</${name}>`;
  };
  const { next } = page;
  return listAnswer('ListVersionsResult', [
    tag('Name', bucket),
    tag('Prefix', encode(prefix)),
    tag('KeyMarker', encode(keyMarker)),
    tag('VersionIdMarker', versionMarker),
    next ? tag('NextKeyMarker', encode(next.key)) : '',
    next?.versionId === undefined ? '' : tag('NextVersionIdMarker', next.versionId),
    tag('MaxKeys', limit),
    delimiter === '' ? '' : tag('Delimiter', encode(delimiter)),
    encodingType === undefined ? '' : tag('EncodingType', encodingType),
    tag('IsTruncated', next !== undefined),
    ...page.versions.map(versionText),
    prefixesText(page.commonPrefixes, parameters),
  ]);
}
