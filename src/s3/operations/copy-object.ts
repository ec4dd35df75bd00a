import { isChecksumAlgorithm } from '#lib/checksum.ts';
import { isoTime } from '#lib/iso-time.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readCopySource, sourceCondition, sourceError } from '../copy-source.ts';
import { readCustomerKey } from '../encryption-headers.ts';
import { S3Error } from '../errors.ts';
import { readNewObject } from '../new-object.ts';
import { checksumElements, quoteEtag, readWriteCondition, writeHeaders } from '../object-headers.ts';
import { result } from '../xml-result.ts';

/** Headers that change an object that is copied onto itself. */
const changing = [
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-checksum-algorithm',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-legal-hold',
];

export async function copyObject(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, headers } = call;
  const replacesHeaders = readDirective(headers, 'metadata');
  const replacesTags = readDirective(headers, 'tagging');
  const source = await readCopySource(call);
  const isSame = source.bucket === bucket && source.key === key && source.versionId === undefined;
  if (isSame && !replacesHeaders && !replacesTags && !changing.some((name) => headers.has(name))) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  const { headers: given, tags, storageClass, ...object } = await readNewObject(call, call.settings);
  const checksumAlgorithm = headers.get('x-amz-checksum-algorithm')?.toLowerCase();
  if (checksumAlgorithm !== undefined && !isChecksumAlgorithm(checksumAlgorithm))
    throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  const assertSource = sourceCondition(call);
  let sourceVersion: string | undefined;
  try {
    const info = await backend.copy(
      source,
      { bucket, key },
      {
        ...object,
        storageClass,
        headers: replacesHeaders ? given : undefined,
        tags: replacesTags ? (tags ?? {}) : undefined,
        checksumAlgorithm,
        sourceKey: readCustomerKey(headers, true),
        sourceCondition: (found) => {
          sourceVersion = found.versionId;
          assertSource(found);
        },
        condition: readWriteCondition(call),
      },
    );
    return {
      headers: { 'x-amz-copy-source-version-id': sourceVersion, ...writeHeaders(info, call.settings) },
      content: result('CopyObjectResult', [
        xml('LastModified', isoTime(info.mtimeMs)),
        xml('ETag', quoteEtag(info.etag)),
        ...checksumElements(info.checksums),
      ]),
    };
  } catch (error) {
    throw sourceError(error, source);
  }
}

/** True for REPLACE. Errors: `InvalidArgument`. */
function readDirective(headers: ReadonlyMap<string, string>, what: 'metadata' | 'tagging'): boolean {
  const name = `x-amz-${what}-directive`;
  const directive = headers.get(name) ?? 'COPY';
  if (directive === 'COPY' || directive === 'REPLACE') return directive === 'REPLACE';
  throw new S3Error('InvalidArgument', `Unknown ${what} directive.`, {
    fields: { ArgumentName: name, ArgumentValue: directive },
  });
}
