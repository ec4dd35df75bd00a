import type { LifecycleRule, Retention, Tags } from '#s3/bucket-settings.ts';
import { afterDays, expiresAtMs, matchesLifecycle, realDayMs } from '#s3/lifecycle-expiration.ts';

/** One version of a key, as far as rules ask about it. */
export interface LifecycleVersion {
  readonly versionId: string;
  readonly isDeleteMarker: boolean;
  readonly mtimeMs: number;
  readonly sizeBytes: number;
  readonly tags?: Tags | undefined;
  readonly retention?: Retention | undefined;
  readonly hasLegalHold?: boolean | undefined;
}

/** `expire`: the current version goes, in a versioned bucket behind a delete marker. `delete`: this very version goes for good. */
export interface LifecycleAction {
  readonly kind: 'expire' | 'delete';
  readonly versionId: string;
  /** The rule that says so. */
  readonly ruleId: string;
}

/**
 * What rules want done now with the versions of one key, the newest first.
 *
 * `dayMs` is how long a day is; an action is due at the first turn of a day after its days have passed. Locked versions stay.
 * Source: S3, "Lifecycle configuration elements".
 */
export function planLifecycle(
  rules: readonly LifecycleRule[],
  key: string,
  versions: readonly LifecycleVersion[],
  nowMs: number,
  dayMs = realDayMs,
): readonly LifecycleAction[] {
  const actions = new Map<string, LifecycleAction>();
  for (const rule of rules) {
    if (!rule.isEnabled) continue;
    for (const action of planRule(rule, key, versions, nowMs, dayMs)) {
      if (!actions.has(action.versionId)) actions.set(action.versionId, action);
    }
  }
  return [...actions.values()];
}

function* planRule(
  rule: LifecycleRule,
  key: string,
  versions: readonly LifecycleVersion[],
  nowMs: number,
  dayMs: number,
): Generator<LifecycleAction> {
  const [current, ...noncurrent] = versions;
  if (!current) return;
  const dueMs = expiresAtMs(rule, current.mtimeMs, dayMs);
  if (current.isDeleteMarker) {
    const isAlone = noncurrent.length === 0 && matchesLifecycle(rule.filter, key, current);
    const isDue = rule.expiresDeleteMarkers === true || (rule.expireAfterDays !== undefined && isPast(dueMs, nowMs));
    if (isAlone && isDue) yield { kind: 'delete', versionId: current.versionId, ruleId: rule.id };
  } else if (matchesLifecycle(rule.filter, key, current) && isPast(dueMs, nowMs) && !isLocked(current, nowMs)) {
    yield { kind: 'expire', versionId: current.versionId, ruleId: rule.id };
  }
  const { noncurrentExpireAfterDays: days, noncurrentVersionsKept = 0 } = rule;
  if (days === undefined) return;
  // A version is noncurrent since the next one was written.
  const old = noncurrent.map((version, index) => ({ version, sinceMs: versions[index]!.mtimeMs }));
  for (const { version, sinceMs } of old
    .filter(({ version }) => matchesLifecycle(rule.filter, key, version))
    .slice(noncurrentVersionsKept)) {
    if (isPast(afterDays(sinceMs, days, dayMs), nowMs) && !isLocked(version, nowMs))
      yield { kind: 'delete', versionId: version.versionId, ruleId: rule.id };
  }
}

/** The rule that wants an upload given up by now; `undefined` when none does. Filters but the prefix are not about uploads. */
export function planUpload(
  rules: readonly LifecycleRule[],
  upload: { readonly key: string; readonly initiatedMs: number },
  nowMs: number,
  dayMs = realDayMs,
): LifecycleRule | undefined {
  return rules.find(
    ({ isEnabled, filter, abortUploadsAfterDays: days }) =>
      isEnabled &&
      days !== undefined &&
      upload.key.startsWith(filter.prefix ?? '') &&
      isPast(afterDays(upload.initiatedMs, days, dayMs), nowMs),
  );
}

/** The prefixes that rules ask about, none of them inside another: what has to be walked. */
export function lifecyclePrefixes(rules: readonly LifecycleRule[]): readonly string[] {
  const prefixes = [...new Set(rules.filter(({ isEnabled }) => isEnabled).map(({ filter }) => filter.prefix ?? ''))];
  return prefixes.filter((prefix) => !prefixes.some((other) => other !== prefix && prefix.startsWith(other))).sort();
}

/** Whether rules ask about tags, which no listing tells. */
export const asksForTags = (rules: readonly LifecycleRule[]): boolean =>
  rules.some(({ isEnabled, filter }) => isEnabled && Object.keys(filter.tags ?? {}).length > 0);

const isPast = (atMs: number | undefined, nowMs: number): boolean => atMs !== undefined && atMs <= nowMs;

const isLocked = ({ retention, hasLegalHold }: LifecycleVersion, nowMs: number): boolean =>
  hasLegalHold === true || (retention !== undefined && retention.untilMs > nowMs);
