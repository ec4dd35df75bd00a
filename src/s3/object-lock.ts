import type { ObjectInfo } from './backend.ts';
import type { BucketSettings, Retention } from './bucket-settings.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './errors.ts';

const dayMs = 86_400_000;

export const isLockMode = (word: string | undefined): word is Retention['mode'] => word === 'GOVERNANCE' || word === 'COMPLIANCE';

/** Errors: `InvalidRequest` in a bucket without object lock. */
export function assertLockable(settings: BucketSettings): void {
  if (!settings.objectLock) throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
}

/** A time in ISO 8601. Unit: milliseconds since 1970; `undefined` when it is no such time. */
export function parseIsoTime(text: string | undefined): number | undefined {
  const timeMs =
    text !== undefined && /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:?\d{2})?)?$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/**
 * How long a new version is kept: as its headers say, or else as its bucket does.
 * Errors: `InvalidRequest` without object lock, `InvalidArgument` for what cannot be.
 */
export function readLockHeaders(
  headers: ReadonlyMap<string, string>,
  settings: BucketSettings,
  nowMs: number,
): { readonly retention?: Retention | undefined; readonly hasLegalHold?: boolean | undefined } {
  const mode = headers.get('x-amz-object-lock-mode');
  const until = headers.get('x-amz-object-lock-retain-until-date');
  const hold = headers.get('x-amz-object-lock-legal-hold');
  if (mode !== undefined || until !== undefined || hold !== undefined) assertLockable(settings);
  if (hold !== undefined && hold !== 'ON' && hold !== 'OFF')
    throw new S3Error('InvalidArgument', "Legal Hold must be either of 'ON' or 'OFF'", {
      fields: { ArgumentName: 'x-amz-object-lock-legal-hold', ArgumentValue: hold },
    });
  const hasLegalHold = hold === undefined ? undefined : hold === 'ON';
  if (mode === undefined && until === undefined) return { retention: presetRetention(settings, nowMs), hasLegalHold };
  if (mode === undefined || until === undefined)
    throw new S3Error('InvalidArgument', 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied');
  const word = mode.toUpperCase();
  if (!isLockMode(word)) throw new S3Error('InvalidArgument', 'Unknown wormMode directive.');
  const untilMs = parseIsoTime(until);
  if (untilMs === undefined) throw new S3Error('InvalidArgument', 'The retain until date must be provided in ISO 8601 format');
  assertFuture(untilMs, nowMs);
  return { retention: { mode: word, untilMs }, hasLegalHold };
}

/** Errors: `InvalidArgument`. */
export function assertFuture(untilMs: number, nowMs: number): void {
  if (untilMs <= nowMs) throw new S3Error('InvalidArgument', 'The retain until date must be in the future!');
}

function presetRetention({ objectLock }: BucketSettings, nowMs: number): Retention | undefined {
  const { mode, days, years } = objectLock ?? {};
  if (!mode) return undefined;
  if (years === undefined) return { mode, untilMs: nowMs + (days ?? 0) * dayMs };
  const until = new Date(nowMs);
  return { mode, untilMs: until.setUTCFullYear(until.getUTCFullYear() + years) };
}

/** True when the request wants to overrule governance; whoever may not is not let in with such a request. */
export const readBypass = ({ headers }: Pick<S3Call, 'headers'>): boolean =>
  headers.get('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';

/** Errors: `AccessDenied` for a version that must be kept. */
export function assertDeletable(version: ObjectInfo, bypassesGovernance: boolean, nowMs: number): void {
  const { retention, hasLegalHold } = version;
  const isHeld = retention && retention.untilMs > nowMs && !(retention.mode === 'GOVERNANCE' && bypassesGovernance);
  if (hasLegalHold || isHeld) throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
}

/** Errors: `AccessDenied` for a change that would protect a version less than it was promised. */
export function assertRetentionChange(
  current: Retention | undefined,
  next: Retention | undefined,
  bypassesGovernance: boolean,
  nowMs: number,
): void {
  if (!current || current.untilMs <= nowMs) return;
  const isLess = !next || next.untilMs < current.untilMs || (next.mode !== current.mode && next.mode !== 'COMPLIANCE');
  const isOther = next !== undefined && next.mode !== current.mode;
  if ((isLess || isOther) && !(current.mode === 'GOVERNANCE' && bypassesGovernance))
    throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.');
}

export function lockHeaders({ retention, hasLegalHold }: ObjectInfo): Record<string, string> {
  return {
    ...(retention
      ? {
          'x-amz-object-lock-mode': retention.mode,
          'x-amz-object-lock-retain-until-date': new Date(retention.untilMs).toISOString(),
        }
      : {}),
    ...(hasLegalHold === undefined ? {} : { 'x-amz-object-lock-legal-hold': hasLegalHold ? 'ON' : 'OFF' }),
  };
}
