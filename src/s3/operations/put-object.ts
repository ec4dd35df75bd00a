import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { checksumHeaders, quoteEtag, readObjectHeaders, readWriteCondition } from '../object-headers.ts';

export async function putObject(call: S3Call): Promise<S3Answer> {
  const headers = readObjectHeaders(call);
  const info = await call.backend.put(call, call.body(), { headers, condition: readWriteCondition(call) });
  return { headers: { etag: quoteEtag(info.etag), ...checksumHeaders(info.checksums) } };
}
