import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { assertReadableWith, readCustomerKey, refuseEncryption } from '../encryption-headers.ts';
import { readError, readRef } from '../object-ref.ts';
import { objectHead, selectRange } from './get-object.ts';

export async function headObject(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  refuseEncryption(call.headers);
  try {
    const info = await call.backend.head(ref);
    assertReadableWith(readCustomerKey(call.headers), info.encryption);
    return objectHead(call, info, selectRange(call, info));
  } catch (error) {
    throw readError(error, ref);
  }
}
