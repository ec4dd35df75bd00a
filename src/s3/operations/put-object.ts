import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readNewObject } from '../new-object.ts';
import { checksumHeaders, quoteEtag, readWriteCondition, writeHeaders } from '../object-headers.ts';

export async function putObject(call: S3Call): Promise<S3Answer> {
  const { backend, bucket, key } = call;
  const object = await readNewObject(call, call.settings);
  const info = await backend.put({ bucket, key }, call.body(), { ...object, condition: readWriteCondition(call) });
  return { headers: { etag: quoteEtag(info.etag), ...checksumHeaders(info.checksums), ...writeHeaders(info, call.settings) } };
}
