import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readCorsRules } from '../cors-xml.ts';

export async function putBucketCors(call: S3Call): Promise<S3Answer> {
  const cors = readCorsRules(await call.xml('CORSConfiguration'));
  await call.backend.changeBucketSettings(call.bucket, (settings) => ({ ...settings, cors }));
  return {};
}
