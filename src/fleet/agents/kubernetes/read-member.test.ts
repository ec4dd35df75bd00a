import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSettled, type PodView, readMember, refusalOf } from './read-member.ts';

const labels = { 'cellar.cluster': 'chain', 'cellar.incarnation': '1', 'cellar.member': 'one' };
const set = (replicas = 1) => ({ metadata: { name: 'one', labels, annotations: { 'cellar.digest': 'd' } }, spec: { replicas } });
type Container = NonNullable<PodView['status']['containerStatuses']>[number];
const pod = (container: Partial<Container> | undefined, status: Partial<PodView['status']> = {}): PodView => ({
  metadata: { name: 'one-0', labels },
  spec: { nodeName: 'n1' },
  status: {
    phase: 'Pending',
    hostIP: '10.0.0.1',
    ...status,
    ...(container ? { containerStatuses: [{ restartCount: 0, ...container }] } : {}),
  },
});
const node = (status: string) => () => ({ metadata: { name: 'n1' }, status: { conditions: [{ type: 'Ready', status }] } });
const startedAt = '2026-01-02T03:04:05Z';
const crashed = { terminated: { exitCode: 3, reason: 'Error' } };
const backOff = { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } };

const cases: [what: string, pod: PodView | undefined, replicas: number, state: string, message: RegExp][] = [
  ['stopped', undefined, 0, 'exited', /stopped/],
  ['not yet made', undefined, 1, 'starting', /no pod yet/],
  ['running', pod({ state: { running: { startedAt } } }), 1, 'running', /^$/],
  ['ended', pod({ state: crashed }), 1, 'exited', /code 3/],
  ['between two lives', pod({ state: backOff, lastState: crashed, restartCount: 4 }), 1, 'exited', /code 3/],
  ['greedy', pod({ state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }), 1, 'exited', /memory/],
  ['killed', pod({ state: { terminated: { exitCode: 137, reason: 'Error' } } }), 1, 'exited', /by force/],
  ['being pulled', pod({ state: { waiting: { reason: 'ContainerCreating' } } }), 1, 'starting', /ContainerCreating/],
  [
    'placed nowhere',
    pod(undefined, { conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes are available' }] }),
    1,
    'starting',
    /0\/1 nodes/,
  ],
  ['evicted', pod(undefined, { phase: 'Failed', reason: 'Evicted', message: 'disk pressure' }), 1, 'exited', /Evicted: disk/],
];
for (const [what, seen, replicas, state, message] of cases) {
  test(`a member that is ${what} is ${state}`, () => {
    const member = readMember(set(replicas), seen, node('True'));
    assert.equal(member?.state, state);
    assert.match(member?.message ?? '', message);
    assert.deepEqual([member?.cluster, member?.member, member?.digest], ['chain', 'one', 'd']);
  });
}

test('on a node that is not heard of, nothing is known of a member, whatever its pod says', () => {
  const running = pod({ state: { running: { startedAt } } });
  assert.equal(readMember(set(), running, node('Unknown'))?.state, 'unknown');
  assert.equal(readMember(set(), running, () => undefined)?.state, 'unknown');
});

test('what has no marks of ours is no member', () => {
  assert.equal(readMember({ metadata: { name: 'x' }, spec: {} }, undefined, node('True')), undefined);
});

test('a running one tells since when, where, and how often it was started again', () => {
  const seen = readMember(set(), pod({ state: { running: { startedAt } }, restartCount: 2 }), node('True'));
  assert.deepEqual([seen?.startedMs, seen?.address, seen?.restarts], [Date.parse(startedAt), '10.0.0.1', 2]);
});

const refusals: [reason: string, refusal: string | undefined][] = [
  ['ErrImagePull', 'image_missing'],
  ['ImagePullBackOff', 'image_missing'],
  ['CreateContainerConfigError', 'member_rejected'],
  ['ContainerCreating', undefined],
  ['CrashLoopBackOff', undefined],
];
for (const [reason, refusal] of refusals)
  test(`${reason} is ${refusal ?? 'no refusal'}`, () =>
    assert.equal(refusalOf(pod({ state: { waiting: { reason } } }))?.reason, refusal));

test('a pod has settled once it runs or has run', () => {
  assert.equal(isSettled(pod({ state: { running: { startedAt } } })), true);
  assert.equal(isSettled(pod({ state: backOff, lastState: crashed })), true);
  assert.equal(isSettled(pod({ state: { waiting: { reason: 'ContainerCreating' } } })), false);
  assert.equal(isSettled(pod(undefined)), false);
});
