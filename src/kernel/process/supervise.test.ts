import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  backoffDelay,
  type Fork,
  type ForkAction,
  type ForkEvent,
  hasProcess,
  type Limits,
  Phase,
  stoppedFork,
  supervise,
} from './supervise.ts';

const mib = 1_048_576;
const limits: Limits = {
  memoryMaxBytes: 100 * mib,
  hangMs: 1000,
  startMs: 5000,
  stopMs: 500,
  backoffMs: 100,
  backoffMaxMs: 1000,
  healthyMs: 3000,
};

interface Line {
  readonly at: number;
  readonly event: ForkEvent;
  readonly phase: Phase;
  readonly does?: readonly ForkAction['kind'][];
  readonly reason?: RegExp;
  readonly restarts?: number;
}

const start: Line = { at: 0, event: { kind: 'start' }, phase: 'starting', does: ['spawn'] };
const ready = (at: number): Line => ({ at, event: { kind: 'ready' }, phase: 'ready', does: [] });
const tick = (at: number, phase: Phase, does: readonly ForkAction['kind'][] = [], reason?: RegExp): Line => ({
  at,
  event: { kind: 'tick' },
  phase,
  does,
  ...(reason ? { reason } : {}),
});
const exit = (at: number, phase: Phase, does: readonly ForkAction['kind'][]): Line => ({
  at,
  event: { kind: 'exited', reason: 'it was ended by SIGKILL' },
  phase,
  does,
});
const beat = (at: number, memoryBytes = mib): Line => ({
  at,
  event: { kind: 'heartbeat', memoryBytes },
  phase: 'ready',
  does: [],
});
/** The clock goes on by small steps, as it does in life; each with a heartbeat. */
const passing = (from: number, to: number): Line[] => {
  const lines: Line[] = [];
  for (let at = from; at <= to; at += 200) lines.push(beat(at), tick(at, 'ready'));
  return lines;
};
/** Without heartbeats. */
const silence = (from: number, to: number): Line[] => {
  const lines: Line[] = [];
  for (let at = from; at <= to; at += 200) lines.push({ ...tick(at, 'ready'), phase: 'ready' });
  return lines.map(({ does: _, ...line }) => line);
};

const stories: Readonly<Record<string, readonly Line[]>> = {
  'starts and stops': [
    start,
    ready(10),
    { at: 20, event: { kind: 'stop' }, phase: 'stopping', does: ['ask_to_stop'] },
    exit(30, 'stopped', []),
    tick(9000, 'stopped'),
  ],
  'the first crash is answered at once, the next after a growing wait': [
    start,
    ready(10),
    exit(20, 'starting', ['say', 'spawn']),
    ready(30),
    exit(40, 'backoff', ['say']),
    tick(139, 'backoff'),
    tick(140, 'starting', ['spawn']),
    exit(150, 'backoff', ['say']),
    tick(349, 'backoff'),
    tick(350, 'starting', ['spawn'], /SIGKILL/),
  ],
  'crashes are forgotten after it has been well for a while': [
    start,
    ready(10),
    exit(20, 'starting', ['say', 'spawn']),
    ready(30),
    ...passing(40, 3240),
    exit(3250, 'starting', ['say', 'spawn']),
  ],
  'silence is warned of, then killed, then restarted': [
    start,
    ready(100),
    beat(200),
    tick(200, 'ready'),
    tick(400, 'ready'),
    tick(600, 'ready'),
    tick(720, 'ready', ['say']),
    tick(900, 'ready'),
    tick(1100, 'ready'),
    tick(1200, 'unhealthy', ['say', 'kill'], /not answered for 1000 ms/),
    tick(1300, 'unhealthy'),
    { ...exit(1310, 'starting', ['say', 'spawn']), reason: /not answered/, restarts: 1 },
  ],
  'a supervisor that stood still does not blame others': [
    start,
    ready(10),
    beat(100),
    tick(200, 'ready'),
    tick(90_000, 'ready'),
    tick(90_100, 'ready'),
    beat(90_200),
    ...silence(90_200, 90_600),
    tick(90_800, 'ready', ['say']),
  ],
  'too much memory leads to a restart in order, again and again with a wait': [
    start,
    ready(10),
    {
      at: 20,
      event: { kind: 'heartbeat', memoryBytes: 200 * mib },
      phase: 'stopping',
      does: ['say', 'ask_to_stop'],
      reason: /200 MiB/,
    },
    { at: 30, event: { kind: 'heartbeat', memoryBytes: 300 * mib }, phase: 'stopping', does: [] },
    { ...exit(40, 'starting', ['spawn']), restarts: 1 },
    ready(50),
    { at: 60, event: { kind: 'heartbeat', memoryBytes: 200 * mib }, phase: 'stopping', does: ['say', 'ask_to_stop'] },
    { ...exit(70, 'backoff', []), restarts: 2 },
    tick(170, 'starting', ['spawn']),
  ],
  'who does not stop is killed': [
    start,
    ready(10),
    { at: 20, event: { kind: 'stop' }, phase: 'stopping', does: ['ask_to_stop'] },
    tick(200, 'stopping'),
    tick(519, 'stopping'),
    tick(520, 'stopping', ['say', 'kill'], /did not stop/),
    tick(600, 'stopping'),
    exit(610, 'stopped', []),
  ],
  'who never becomes ready is killed': [
    start,
    ...[0, 1, 2, 3, 4].flatMap((second): Line[] =>
      [0, 200, 400, 600, 800].flatMap((ms): Line[] => [
        { at: second * 1000 + ms, event: { kind: 'heartbeat', memoryBytes: mib }, phase: 'starting', does: [] },
        tick(second * 1000 + ms, 'starting'),
      ]),
    ),
    tick(5000, 'starting', ['say', 'kill'], /not ready within/),
    exit(5010, 'starting', ['say', 'spawn']),
  ],
  'what it says of its failure is kept as the reason': [
    start,
    { at: 10, event: { kind: 'failed', reason: 'its folder is missing' }, phase: 'starting', does: [] },
    { ...exit(20, 'starting', ['say', 'spawn']), reason: /folder is missing/ },
    { at: 30, event: { kind: 'failed', reason: 'its folder is missing' }, phase: 'starting', does: [] },
    { ...exit(40, 'backoff', ['say']), reason: /folder is missing/ },
    tick(140, 'starting', ['spawn'], /folder is missing/),
    { ...ready(150), reason: /^$/ },
  ],
  'a restart that is asked for comes at once, also out of backoff': [
    start,
    exit(10, 'starting', ['say', 'spawn']),
    exit(20, 'backoff', ['say']),
    { at: 30, event: { kind: 'restart', reason: 'asked' }, phase: 'starting', does: ['spawn'] },
    ready(40),
    { at: 50, event: { kind: 'restart', reason: 'asked' }, phase: 'stopping', does: ['ask_to_stop'] },
    { at: 55, event: { kind: 'restart', reason: 'asked' }, phase: 'stopping', does: [] },
    exit(60, 'starting', ['spawn']),
  ],
  'a stop wins over a restart, a start over a stop': [
    start,
    ready(10),
    { at: 20, event: { kind: 'restart', reason: 'asked' }, phase: 'stopping', does: ['ask_to_stop'] },
    { at: 30, event: { kind: 'stop' }, phase: 'stopping', does: [] },
    { at: 40, event: { kind: 'start' }, phase: 'stopping', does: [] },
    exit(50, 'starting', ['spawn']),
    { at: 60, event: { kind: 'stop' }, phase: 'stopping', does: ['ask_to_stop'] },
    exit(70, 'stopped', []),
  ],
  'unhealthy and well again': [
    start,
    ready(10),
    { at: 20, event: { kind: 'unhealthy', reason: 'disk away' }, phase: 'unhealthy', does: [], reason: /disk away/ },
    { ...ready(30), reason: /^$/ },
  ],
};

for (const [name, lines] of Object.entries(stories)) {
  test(name, () => {
    let fork = stoppedFork;
    for (const [index, line] of lines.entries()) {
      const [next, actions] = supervise(fork, line.event, line.at, limits);
      const where = `line ${index}, ${line.event.kind} at ${line.at}`;
      assert.equal(next.phase, line.phase, where);
      if (line.does)
        assert.deepEqual(
          actions.map(({ kind }) => kind),
          line.does,
          where,
        );
      if (line.reason) assert.match(next.reason, line.reason, where);
      if (line.restarts !== undefined) assert.equal(next.restarts, line.restarts, where);
      fork = next;
    }
  });
}

test('waits grow up to a bound', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 99].map((crashes) => backoffDelay(crashes, limits)),
    [0, 0, 100, 200, 400, 800, 1000, 1000],
  );
});

const events: fc.Arbitrary<ForkEvent> = fc.oneof(
  fc.constant<ForkEvent>({ kind: 'start' }),
  fc.constant<ForkEvent>({ kind: 'stop' }),
  fc.constant<ForkEvent>({ kind: 'restart', reason: 'asked' }),
  fc.constant<ForkEvent>({ kind: 'ready' }),
  fc.constant<ForkEvent>({ kind: 'unhealthy', reason: 'ill' }),
  fc.constant<ForkEvent>({ kind: 'failed', reason: 'failed' }),
  fc.constant<ForkEvent>({ kind: 'exited', reason: 'gone' }),
  fc.constant<ForkEvent>({ kind: 'tick' }),
  fc.nat(200).map((size): ForkEvent => ({ kind: 'heartbeat', memoryBytes: size * mib })),
);

test('whatever happens: one process at a time, and none is asked or killed that is not there', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(events, fc.nat(3000)), { maxLength: 200 }), (steps) => {
      let fork: Fork = stoppedFork;
      let isAlive = false;
      let nowMs = 0;
      for (const [event, waitMs] of steps) {
        // Only a process that is there ends.
        if (event.kind === 'exited' && !isAlive) continue;
        nowMs += waitMs;
        const [next, actions] = supervise(fork, event, nowMs, limits);
        if (event.kind === 'exited') isAlive = false;
        for (const action of actions) {
          if (action.kind === 'spawn') {
            assert.equal(isAlive, false, 'spawned a second process');
            isAlive = true;
          } else if (action.kind !== 'say') assert.equal(isAlive, true, `${action.kind} without a process`);
        }
        assert.equal(hasProcess(next), isAlive);
        fork = next;
      }
    }),
  );
});

test('left alone, it comes to rest or keeps a process: nothing waits for ever', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(events, fc.nat(500)), { maxLength: 50 }), (steps) => {
      let fork: Fork = stoppedFork;
      let nowMs = 0;
      let isDying = false;
      const step = (event: ForkEvent): void => {
        const [next, actions] = supervise(fork, event, nowMs, limits);
        fork = next;
        if (event.kind === 'exited') isDying = false;
        if (actions.some(({ kind }) => kind === 'kill')) isDying = true;
      };
      for (const [event, waitMs] of steps) {
        nowMs += waitMs;
        if (event.kind !== 'exited' || hasProcess(fork)) step(event);
      }
      const before = fork.phase;
      // A process that says nothing but dies when killed.
      for (let index = 0; index < 100; index++) {
        nowMs += 100;
        step({ kind: 'tick' });
        if (isDying) step({ kind: 'exited', reason: 'killed' });
      }
      if (before === Phase.Stopped) assert.equal(fork.phase, Phase.Stopped);
      if (before === Phase.Stopping) assert.notEqual(fork.phase, Phase.Stopping);
      if (before === Phase.Backoff) assert.ok(fork.restarts > 0);
    }),
  );
});
