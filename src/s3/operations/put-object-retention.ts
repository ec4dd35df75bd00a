import type { S3Answer } from '../answer.ts';
import type { Retention } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { assertFuture, assertLockable, assertRetentionChange, isLockMode, parseIsoTime, readBypass } from '../object-lock.ts';
import { readError, readRef } from '../object-ref.ts';

export async function putObjectRetention(call: S3Call): Promise<S3Answer> {
  const { backend, nowMs } = call;
  const ref = readRef(call);
  assertLockable(call.settings);
  const retention = await readRetention(call);
  const bypassesGovernance = readBypass(call);
  try {
    const { versionId } = await backend.update(ref, (current) => {
      assertRetentionChange(current.retention, retention, bypassesGovernance, nowMs);
      return { retention };
    });
    return { headers: { 'x-amz-version-id': versionId } };
  } catch (error) {
    throw readError(error, ref);
  }
}

/** An empty document takes the retention away. */
async function readRetention(call: S3Call): Promise<Retention | undefined> {
  const document = await call.xml('Retention');
  const [mode, until] = [document.value('Mode')?.trim(), document.value('RetainUntilDate')?.trim()];
  if (mode === undefined && until === undefined) return undefined;
  const untilMs = parseIsoTime(until);
  if (!isLockMode(mode) || untilMs === undefined) throw new S3Error('MalformedXML');
  assertFuture(untilMs, call.nowMs);
  return { mode, untilMs };
}
