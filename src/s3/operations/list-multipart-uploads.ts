import { isoTime } from '#lib/iso-time.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { UploadInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { readListParameters } from '../list-query.ts';
import { ownerElement, result } from '../xml-result.ts';

/** Uploads by key and then by id; those whose keys share a prefix up to the delimiter are one entry. */
export async function listMultipartUploads({ backend, bucket, query, settings }: S3Call): Promise<S3Answer> {
  const { prefix, delimiter, limit, encode, encodingType } = readListParameters(query, 'max-uploads');
  const keyMarker = query.get('key-marker') ?? '';
  // Without a key it has no meaning, and S3 ignores it.
  const idMarker = keyMarker === '' ? '' : (query.get('upload-id-marker') ?? '');
  const { owner } = settings;
  const entries = entriesOf(await backend.listUploads(bucket), prefix, delimiter).filter(({ name, upload }) => {
    const order = compareUtf8(name, keyMarker);
    return order > 0 || (order === 0 && upload !== undefined && idMarker !== '' && upload.uploadId > idMarker);
  });
  const page = entries.slice(0, limit);
  const last = page.length < entries.length ? page.at(-1) : undefined;
  return {
    content: result('ListMultipartUploadsResult', [
      xml('Bucket', bucket),
      xml('KeyMarker', encode(keyMarker)),
      xml('UploadIdMarker', idMarker),
      last && xml('NextKeyMarker', encode(last.name)),
      last && xml('NextUploadIdMarker', last.upload?.uploadId ?? ''),
      xml('Prefix', encode(prefix)),
      delimiter !== '' && xml('Delimiter', encode(delimiter)),
      xml('EncodingType', encodingType),
      xml('MaxUploads', limit),
      xml('IsTruncated', last !== undefined),
      ...page.map(
        ({ upload }) =>
          upload &&
          xml('Upload', [
            xml('Key', encode(upload.key)),
            xml('UploadId', upload.uploadId),
            ownerElement(upload.initiator ?? owner, 'Initiator'),
            ownerElement(upload.owner ?? owner),
            xml('StorageClass', upload.storageClass ?? 'STANDARD'),
            xml('Initiated', isoTime(upload.initiatedMs)),
            xml('ChecksumAlgorithm', upload.checksum?.algorithm.toUpperCase()),
            xml('ChecksumType', upload.checksum?.kind.toUpperCase()),
          ]),
      ),
      ...page.map(({ name, upload }) => !upload && xml('CommonPrefixes', [xml('Prefix', encode(name))])),
    ]),
  };
}

interface Entry {
  readonly name: string;
  /** Absent: `name` is a common prefix. */
  readonly upload: UploadInfo | undefined;
}

function entriesOf(uploads: readonly UploadInfo[], prefix: string, delimiter: string): Entry[] {
  const entries: Entry[] = [];
  for (const upload of uploads) {
    if (!upload.key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : upload.key.indexOf(delimiter, prefix.length);
    const name = at < 0 ? upload.key : upload.key.slice(0, at + delimiter.length);
    if (at < 0) entries.push({ name, upload });
    else if (entries.at(-1)?.name !== name) entries.push({ name, upload: undefined });
  }
  return entries;
}
