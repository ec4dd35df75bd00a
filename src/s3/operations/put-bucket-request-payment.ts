import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function putBucketRequestPayment(call: S3Call): Promise<S3Answer> {
  const requestPayer = (await call.xml('RequestPaymentConfiguration')).value('Payer')?.trim();
  if (requestPayer !== 'BucketOwner' && requestPayer !== 'Requester') throw new S3Error('MalformedXML');
  await call.backend.changeBucketSettings(call.bucket, (settings) => ({ ...settings, requestPayer }));
  return {};
}
