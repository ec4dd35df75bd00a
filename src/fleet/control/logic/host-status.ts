import type { HostState, StoredHost } from '../store/store.ts';
import { type HostSight, isSeen, type NotSeen } from './host-sights.ts';
import type { Condition } from './model.ts';

/** Failed looks in a row before a host counts as unreachable: one lost answer is not an outage. */
const failuresMax = 3;

/** It has not answered for so long that nobody waits for it. */
export const isAway = ({ failures }: Pick<StoredHost, 'failures'>): boolean => failures >= failuresMax;

/** What a look at a host changes of it; nothing when it says what was known. Pure. */
export function hostChanges(host: StoredHost, sight: HostSight | NotSeen, nowMs: number): Partial<StoredHost> | undefined {
  const stays: readonly HostState[] = ['draining', 'resetting', 'deleting'];
  if (isSeen(sight)) {
    const state = stays.includes(host.state) ? host.state : 'active';
    if (state === host.state && host.failures === 0) return undefined;
    return { state, failures: 0, seenMs: nowMs, conditions: [reachable(sight, nowMs)] };
  }
  const failures = Math.min(host.failures + 1, failuresMax);
  if (failures < failuresMax) return { failures };
  const state = stays.includes(host.state) ? host.state : 'unreachable';
  if (failures === host.failures && state === host.state) return undefined;
  return { state, failures, conditions: [reachable(sight, nowMs)] };
}

/** Whether the engine of a host answered, and why not. */
export function reachable(sight: HostSight | NotSeen, nowMs: number): Condition {
  if (isSeen(sight)) return { type: 'Reachable', status: 'true', reason: 'HostAnswers', message: '', changedMs: nowMs };
  const { reason, message } = sight.error;
  return { type: 'Reachable', status: 'false', reason: reason || 'HostUnreachable', message, changedMs: nowMs };
}
