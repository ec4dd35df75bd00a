import type { Goal, OperationTarget, StoredCluster, StoredOperation } from '../store/store.ts';
import type { Desired } from './model.ts';

/** Repairs in a row after which an operation says that a cluster has failed; the watchdog goes on trying. */
const repairsMax = 3;

/** How far an operation is, from how its clusters are now. Pure. Result: nothing when it says what it said. */
export function judgeOperation(
  operation: StoredOperation,
  clusters: ReadonlyMap<string, StoredCluster>,
  nowMs: number,
): StoredOperation | undefined {
  const verdicts = operation.targets.map((target) => ({
    target,
    verdict: judge(operation, target, clusters.get(target.cluster)),
  }));
  const done = verdicts.filter(({ verdict }) => verdict === 'done').length;
  const bad = verdicts.filter(({ verdict }) => verdict === 'failed');
  const isOver = operation.deadlineMs > 0 && nowMs >= operation.deadlineMs;
  const isEnded = isOver || done + bad.length === operation.targets.length;
  const isDone = done === operation.targets.length;
  const first = bad[0] && clusters.get(bad[0].target.cluster);
  const seen = first?.conditions.find(
    ({ type, status }) => (type === 'Built' || type === 'Healthy') && status === 'false',
  )?.message;
  const why = first && isSuperseded(operation, first) ? 'something else was wanted of it meanwhile' : seen;
  const message = isDone
    ? ''
    : bad[0]
      ? `${bad[0].target.cluster}: ${why ?? (first ? 'could not be built' : 'was deleted')}`
      : isOver
        ? 'Its time is over'
        : `${done} of ${operation.targets.length}`;
  const state = isEnded ? (isDone ? 'done' : 'failed') : 'running';
  const reason = state !== 'failed' ? '' : isOver ? 'deadline_passed' : 'clusters_failed';
  if (state === 'running' && done === operation.done && bad.length === operation.failed) return undefined;
  return { ...operation, state, done, failed: bad.length, message, reason, endedMs: isEnded ? nowMs : 0 };
}

const needs: Partial<Record<Goal, Desired>> = {
  ...{ ready: 'running', restarted: 'running', renewed: 'running', stopped: 'stopped', gone: 'absent' },
};

/** Whether the goal will not be reached, since people have wanted something else after that. */
function isSuperseded({ goal }: Pick<StoredOperation, 'goal'>, { desired }: StoredCluster): boolean {
  return (needs[goal] ?? desired) !== desired;
}

function judge(
  { goal }: StoredOperation,
  target: OperationTarget,
  cluster: StoredCluster | undefined,
): 'done' | 'failed' | 'running' {
  if (!cluster) return goal === 'gone' || goal === 'unused' ? 'done' : 'failed';
  const isReady = cluster.state === 'ready' && cluster.health !== 'failed';
  const isReached = {
    ready: isReady && cluster.restarted === cluster.restarts,
    stopped: cluster.state === 'stopped',
    restarted: isReady && cluster.restarted > target.restarts,
    renewed: isReady && cluster.incarnation > target.incarnation,
    gone: false,
    unused: cluster.claim === '',
    // Whoever does it says that it is done, see `createVolumeMover`.
    ...{ saved: false, loaded: false },
  }[goal];
  if (isReached) return 'done';
  if (isSuperseded({ goal }, cluster)) return 'failed';
  const isStuck = (goal === 'ready' || goal === 'renewed' || goal === 'restarted') && cluster.repairs >= repairsMax;
  return isStuck ? 'failed' : 'running';
}
