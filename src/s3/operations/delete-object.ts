import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readWriteCondition } from '../object-headers.ts';

export async function deleteObject(call: S3Call): Promise<S3Answer> {
  const condition = readWriteCondition(call);
  // Deleting what is not there is no mistake in S3, so a condition is asked only of what is.
  await call.backend.delete(call, { condition: condition && ((current) => current && condition(current)) });
  return { status: 204 };
}
