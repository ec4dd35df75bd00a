import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { deleteCondition, readDeleteConditions } from '../delete-condition.ts';
import { readBypass } from '../object-lock.ts';
import { readRef } from '../object-ref.ts';

export async function deleteObject(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  const bypassesGovernance = readBypass(call);
  const condition = deleteCondition(ref, readDeleteConditions(call.headers), bypassesGovernance, call.nowMs);
  const { versionId, isDeleteMarker } = await call.backend.delete(ref, { condition });
  return {
    status: 204,
    headers: { 'x-amz-version-id': versionId, 'x-amz-delete-marker': isDeleteMarker ? 'true' : undefined },
  };
}
