import type { LifecycleFilter, LifecycleRule, Tags } from './bucket-settings.ts';

export const realDayMs = 86_400_000;

/** An object as far as filters of rules ask about it. */
export interface LifecycleObject {
  readonly sizeBytes: number;
  readonly tags?: Tags | undefined;
  readonly isDeleteMarker?: boolean;
}

/** When the current version of a key will expire and by which rule, the soonest first; `undefined` when it will not. */
export function expirationOf(
  rules: readonly LifecycleRule[],
  key: string,
  object: LifecycleObject & { readonly mtimeMs: number },
  dayMs = realDayMs,
): { readonly atMs: number; readonly ruleId: string } | undefined {
  let soonest: { readonly atMs: number; readonly ruleId: string } | undefined;
  for (const rule of rules) {
    const atMs =
      rule.isEnabled && matchesLifecycle(rule.filter, key, object) ? expiresAtMs(rule, object.mtimeMs, dayMs) : undefined;
    if (atMs !== undefined && (!soonest || atMs < soonest.atMs)) soonest = { atMs, ruleId: rule.id };
  }
  return soonest;
}

/** A moment some days later, moved to the next turn of a day. */
export const afterDays = (fromMs: number, days: number, dayMs: number): number =>
  Math.ceil((fromMs + days * dayMs) / dayMs) * dayMs;

/** When a rule wants an object written at `mtimeMs` to expire; `undefined` when it does not say. */
export function expiresAtMs({ expireAfterDays, expireAtMs }: LifecycleRule, mtimeMs: number, dayMs: number): number | undefined {
  return expireAfterDays === undefined ? expireAtMs : afterDays(mtimeMs, expireAfterDays, dayMs);
}

/** Whether a rule is about an object. */
export function matchesLifecycle(
  { prefix = '', tags = {}, sizeBytesAbove, sizeBytesBelow }: LifecycleFilter,
  key: string,
  object: LifecycleObject,
): boolean {
  if (!key.startsWith(prefix)) return false;
  if (!Object.entries(tags).every(([name, value]) => object.tags?.[name] === value)) return false;
  // A delete marker has no size.
  if (object.isDeleteMarker) return true;
  return object.sizeBytes > (sizeBytesAbove ?? -1) && object.sizeBytes < (sizeBytesBelow ?? Number.POSITIVE_INFINITY);
}
