import type { HostState, StoredHost } from '../store/store.ts';
import { type HostSight, isSeen, type NotSeen } from './host-sights.ts';

/** Failed looks in a row before a host counts as unreachable: one lost answer is not an outage. */
const failuresMax = 3;

/** What a look at a host changes of it; nothing when it says what was known. Pure. */
export function hostChanges(host: StoredHost, sight: HostSight | NotSeen, nowMs: number): Partial<StoredHost> | undefined {
  const stays: readonly HostState[] = ['draining', 'resetting', 'deleting'];
  if (isSeen(sight)) {
    const state = stays.includes(host.state) ? host.state : 'active';
    if (state === host.state && host.failures === 0) return undefined;
    const reachable = { type: 'Reachable', status: 'true', reason: 'HostAnswers', message: '', changedMs: nowMs } as const;
    return { state, failures: 0, seenMs: nowMs, conditions: [reachable] };
  }
  const failures = Math.min(host.failures + 1, failuresMax);
  if (failures === host.failures) return undefined;
  if (failures < failuresMax) return { failures };
  const { reason, message } = sight.error;
  const state = stays.includes(host.state) ? host.state : 'unreachable';
  const unreachable = {
    type: 'Reachable',
    status: 'false',
    reason: reason || 'HostUnreachable',
    message,
    changedMs: nowMs,
  } as const;
  return { state, failures, conditions: [unreachable] };
}
