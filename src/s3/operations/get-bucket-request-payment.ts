import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

export async function getBucketRequestPayment({ settings }: S3Call): Promise<S3Answer> {
  const { requestPayer = 'BucketOwner' } = settings;
  return { content: result('RequestPaymentConfiguration', [xml('Payer', requestPayer)]) };
}
