import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelsOf } from '../logic/marks.ts';
import { readService, type TaskView } from './read-service.ts';
import { nodeLabel } from './service-spec.ts';

const marks = { cluster: 'c', incarnation: 2, member: 'm', digest: 'd' };
const service = (Replicas: number) => ({
  ID: 's',
  Spec: { Labels: { ...labelsOf('f', 'h', marks), [nodeLabel]: 'n1' }, Mode: { Replicated: { Replicas } } },
});
const task = (State: string, at: number, more: Partial<TaskView['Status']> = {}): TaskView => ({
  ...{ ServiceID: 's', NodeID: 'n1', CreatedAt: new Date(at).toISOString() },
  Status: { State, Timestamp: new Date(at + 500).toISOString(), ...more },
});
const nodes = (State: string) => [{ ID: 'n1', Description: { Hostname: 'one' }, Status: { State } }];

test('a service is what its newest task is, as far as its node is there', () => {
  const cases: [what: string, tasks: TaskView[], replicas: number, node: string, state: string, message: RegExp][] = [
    ['just made', [], 1, 'ready', 'starting', /no task yet/],
    ['stopped, and cleared away', [], 0, 'ready', 'exited', /was stopped/],
    ['waits for its image', [task('preparing', 1)], 1, 'ready', 'starting', /is preparing/],
    ['runs', [task('failed', 1), task('running', 2)], 1, 'ready', 'running', /^$/],
    ['order does not count', [task('running', 2), task('failed', 1)], 1, 'ready', 'running', /^$/],
    [
      'has ended',
      [task('failed', 1, { Err: 'non-zero', ContainerStatus: { ExitCode: 3 } })],
      1,
      'ready',
      'exited',
      /code 3: non-zero/,
    ],
    ['has ended well', [task('complete', 1, { ContainerStatus: { ExitCode: 0 } })], 1, 'ready', 'exited', /code 0/],
    ['has no image', [task('rejected', 1, { Err: 'No such image: x' })], 1, 'ready', 'exited', /No such image/],
    ['its node is away', [task('running', 1)], 1, 'down', 'unknown', /node one is down/],
    ['was not heard of', [task('orphaned', 1)], 1, 'ready', 'unknown', /not heard of/],
  ];
  for (const [what, tasks, replicas, node, state, message] of cases) {
    const seen = readService(service(replicas), tasks, nodes(node), () => '10.0.0.1');
    assert.equal(seen?.state, state, what);
    assert.match(seen?.message ?? '', message, what);
    assert.deepEqual([seen?.cluster, seen?.incarnation, seen?.member, seen?.address], ['c', 2, 'm', '10.0.0.1'], what);
  }
  assert.equal(readService(service(1), [task('running', 1000)], nodes('ready'), () => '')?.startedMs, 1500);
  assert.equal(
    readService({ ID: 'x', Spec: { Labels: { other: 'y' } } }, [], [], () => ''),
    undefined,
  );
});
