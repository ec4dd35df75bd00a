import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readCopySource, sourceCondition } from '../copy-source.ts';
import { S3Error } from '../errors.ts';
import { checksumElements, quoteEtag, readObjectHeaders, readWriteCondition } from '../object-headers.ts';
import { isoTime, result } from '../xml-result.ts';

export async function copyObject(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key, headers } = call;
  const directive = headers.get('x-amz-metadata-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', 'Unknown metadata directive.', {
      fields: { ArgumentName: 'x-amz-metadata-directive', ArgumentValue: directive },
    });
  }
  const source = await readCopySource(call);
  const isSame = source.bucket === bucket && source.key === key;
  if (isSame && directive === 'COPY') {
    throw new S3Error(
      'InvalidRequest',
      'This copy request is illegal because it is trying to copy an object to itself without changing its metadata.',
    );
  }
  const given = readObjectHeaders(call);
  const info = await backend.copy(
    source,
    { bucket, key },
    {
      headers: directive === 'REPLACE' ? given : undefined,
      sourceCondition: sourceCondition(call),
      condition: readWriteCondition(call),
    },
  );
  return {
    content: result('CopyObjectResult', [
      xml('LastModified', isoTime(info.mtimeMs)),
      xml('ETag', quoteEtag(info.etag)),
      ...checksumElements(info.checksums),
    ]),
  };
}
