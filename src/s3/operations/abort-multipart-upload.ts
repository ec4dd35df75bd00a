import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readUploadName } from '../upload-name.ts';

export async function abortMultipartUpload(call: S3Call): Promise<S3Answer> {
  await call.backend.abortUpload(readUploadName(call));
  return { status: 204 };
}
