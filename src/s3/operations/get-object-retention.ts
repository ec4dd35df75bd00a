import { isoTime } from '#lib/iso-time.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { assertLockable } from '../object-lock.ts';
import { readError, readRef } from '../object-ref.ts';
import { result } from '../xml-result.ts';

export async function getObjectRetention(call: S3Call): Promise<S3Answer> {
  const { backend } = call;
  const ref = readRef(call);
  assertLockable(call.settings);
  try {
    const { retention, versionId } = await backend.head(ref);
    if (!retention) throw new S3Error('NoSuchObjectLockConfiguration');
    return {
      headers: { 'x-amz-version-id': versionId },
      content: result('Retention', [xml('Mode', retention.mode), xml('RetainUntilDate', isoTime(retention.untilMs))]),
    };
  } catch (error) {
    throw readError(error, ref);
  }
}
