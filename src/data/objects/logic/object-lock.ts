import { type Fault, permissionDenied } from '#kernel/fault.ts';
import type { StoredObject } from '../store/store.ts';

/**
 * Throws for a version that must stay whoever asks: one with a legal hold, or with retention in compliance mode that has not ended.
 * Retention in governance mode is for those to judge who know what the caller may do.
 */
export function assertUnlocked(key: string, stored: StoredObject | undefined, nowMs: number): void {
  if (stored?.hasLegalHold) throw locked(key, 'it has a legal hold');
  const { retention } = stored ?? {};
  if (retention?.mode === 'COMPLIANCE' && retention.untilMs > nowMs) {
    throw locked(key, `it is retained until ${new Date(retention.untilMs).toISOString()}`);
  }
}

/** The same where nobody judges: any retention counts. */
export function isLocked({ retention, hasLegalHold }: StoredObject, nowMs: number): boolean {
  return hasLegalHold === true || (retention !== undefined && retention.untilMs > nowMs);
}

export const locked = (key: string, why: string): Fault =>
  permissionDenied(`Cannot remove this version of ${JSON.stringify(key)}: ${why}`, { reason: 'object_locked' });
