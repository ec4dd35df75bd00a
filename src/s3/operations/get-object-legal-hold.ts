import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { assertLockable } from '../object-lock.ts';
import { readError, readRef } from '../object-ref.ts';
import { result } from '../xml-result.ts';

export async function getObjectLegalHold(call: S3Call): Promise<S3Answer> {
  const ref = readRef(call);
  assertLockable(call.settings);
  try {
    const { hasLegalHold, versionId } = await call.backend.head(ref);
    if (hasLegalHold === undefined) throw new S3Error('NoSuchObjectLockConfiguration');
    return {
      headers: { 'x-amz-version-id': versionId },
      content: result('LegalHold', [xml('Status', hasLegalHold ? 'ON' : 'OFF')]),
    };
  } catch (error) {
    throw readError(error, ref);
  }
}
