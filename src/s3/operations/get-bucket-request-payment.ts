import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

export async function getBucketRequestPayment({ backend, bucket }: S3Call): Promise<S3Answer> {
  const { requestPayer = 'BucketOwner' } = await backend.bucketSettings(bucket);
  return { content: result('RequestPaymentConfiguration', [xml('Payer', requestPayer)]) };
}
