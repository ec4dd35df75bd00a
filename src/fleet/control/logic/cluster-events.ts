import type { Health } from '../../common/words.ts';
import type { StoredCluster } from '../store/store.ts';
import { type FleetEvent, factsOf } from './events.ts';
import type { Action, ClusterState } from './model.ts';

const stateEvents: Readonly<Record<ClusterState, readonly [reason: string, message: string]>> = {
  building: ['ClusterBuilding', 'is being built'],
  ready: ['ClusterReady', 'is ready'],
  stopping: ['ClusterStopping', 'is being stopped'],
  stopped: ['ClusterStopped', 'has stopped'],
  recycling: ['ClusterRecycling', 'is being built anew'],
  deleting: ['ClusterDeleting', 'is being deleted'],
  failed: ['ClusterFailed', 'has failed'],
};

const healthEvents: Readonly<Record<Health, readonly [reason: string, message: string, severity: FleetEvent['severity']]>> = {
  ok: ['ClusterHealthy', 'is healthy again', 'info'],
  degraded: ['ClusterDegraded', 'is degraded', 'warning'],
  failed: ['ClusterUnhealthy', 'is unhealthy', 'error'],
  unknown: ['ClusterUnknown', 'cannot be asked', 'warning'],
};

/** What to tell about the step from one look at a cluster to the next, and about what is done to it. */
export function clusterEvents(before: StoredCluster, after: StoredCluster, actions: readonly Action[]): readonly FleetEvent[] {
  const { name } = after;
  const why = after.conditions.find(({ type }) => type === 'Healthy')?.message ?? '';
  const event = (reason: string, message: string, severity: FleetEvent['severity']): FleetEvent => ({
    ...{ kind: 'cluster', name, cluster: name, ...factsOf(after), actor: 'watchdog', reason, severity },
    message: `Cluster ${name} ${message}`,
  });
  const because = (text: string): string => (why === '' ? text : `${text}: ${why}`);
  const events: FleetEvent[] = [];
  if (before.state !== after.state) {
    const [reason, message] = stateEvents[after.state];
    events.push(
      event(
        reason,
        after.state === 'failed' || after.isRecycling ? because(message) : message,
        after.state === 'failed' ? 'error' : 'info',
      ),
    );
  } else if (after.state === 'ready' && before.health !== after.health) {
    const [reason, message, severity] = healthEvents[after.health];
    events.push(event(reason, because(message), severity));
  }
  for (const action of actions) {
    if (action.kind === 'create') events.push(event('MembersCreating', `gets ${action.members.join(', ')}`, 'info'));
    if (action.kind === 'start')
      events.push(event('MembersStarting', `has ${action.members.join(', ')} started again: ${action.why}`, 'warning'));
    if (action.kind === 'stop')
      events.push(event('MembersStopping', `has ${action.members.join(', ')} stopped: ${action.why}`, 'info'));
    if (action.kind === 'remove')
      events.push(event('MembersRemoving', `loses incarnation ${action.incarnation}: ${action.why}`, 'info'));
    if (action.kind === 'renew')
      events.push(event('ClusterRenewed', `begins anew as incarnation ${before.incarnation + 1}`, 'info'));
    if (action.kind === 'forget') events.push(event('ClusterGone', 'is gone, and its place is free', 'info'));
  }
  return events;
}
