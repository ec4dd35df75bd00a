import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { assertLockable } from '../object-lock.ts';
import { readError, readRef } from '../object-ref.ts';

export async function putObjectLegalHold(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  assertLockable(call.settings);
  const status = (await call.xml('LegalHold')).value('Status')?.trim();
  if (status !== 'ON' && status !== 'OFF') throw new S3Error('MalformedXML');
  try {
    const { versionId } = await call.backend.update(ref, () => ({ hasLegalHold: status === 'ON' }));
    return { headers: { 'x-amz-version-id': versionId } };
  } catch (error) {
    throw readError(error, ref);
  }
}
