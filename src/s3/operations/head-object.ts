import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { objectHead, selectRange } from './get-object.ts';

export async function headObject(call: S3Call): Promise<S3Answer> {
  const info = await call.backend.head(call);
  return objectHead(call, info, selectRange(call, info));
}
