/** Limits of one supervised process. Unit of all: milliseconds, but for bytes. */
export interface Limits {
  readonly memoryMaxBytes: number;
  /** Silence after which it counts as hanging; warned of at half. */
  readonly hangMs: number;
  readonly startMs: number;
  readonly stopMs: number;
  /** Wait before the second restart in a row; doubles after. The first is at once. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Time it must be ready for earlier crashes to be forgotten. */
  readonly healthyMs: number;
}

export const Phase = {
  Stopped: 'stopped',
  Starting: 'starting',
  Ready: 'ready',
  Unhealthy: 'unhealthy',
  Backoff: 'backoff',
  Stopping: 'stopping',
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** What the supervisor knows of one process. */
export interface Fork {
  readonly phase: Phase;
  /** What follows when it has stopped. */
  readonly afterwards: 'stay' | 'start';
  /** Since when it is in this phase. */
  readonly sinceMs: number;
  readonly heardMs: number;
  /** Time of the last tick, to notice that the supervisor itself stood still. */
  readonly tickMs: number;
  readonly retryAtMs: number;
  /** Crashes in a row. */
  readonly crashes: number;
  readonly restarts: number;
  readonly isWarned: boolean;
  readonly isKilled: boolean;
  /** Why it is not ready, in words. */
  readonly reason: string;
}

export type ForkEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'restart'; readonly reason: string }
  /** It says that it is alive. */
  | { readonly kind: 'heartbeat'; readonly memoryBytes: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'unhealthy'; readonly reason: string }
  /** It says why it cannot start; its exit follows. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** Its process ended, or could not be made. */
  | { readonly kind: 'exited'; readonly reason: string }
  | { readonly kind: 'tick' };

export type ForkAction =
  | { readonly kind: 'spawn' }
  /** Asks the process to stop in order. */
  | { readonly kind: 'ask_to_stop' }
  | { readonly kind: 'kill' }
  | { readonly kind: 'say'; readonly level: 'info' | 'warn' | 'error'; readonly message: string; readonly reason: string };

export type Step = readonly [Fork, readonly ForkAction[]];

export const stoppedFork: Fork = Object.freeze({
  phase: Phase.Stopped,
  afterwards: 'stay',
  sinceMs: 0,
  heardMs: 0,
  tickMs: 0,
  retryAtMs: 0,
  crashes: 0,
  restarts: 0,
  isWarned: false,
  isKilled: false,
  reason: '',
});

/**
 * What to do when something happens to a supervised process. Pure: the same state, event and time give the same step.
 *
 * Promises: a process is spawned only when there is none; every phase but `ready`, `unhealthy` and `stopped` ends by itself in
 * bounded time; a crash is answered by a restart, at once the first time and later after a wait that doubles up to a bound.
 */
export function supervise(fork: Fork, event: ForkEvent, nowMs: number, limits: Limits): Step {
  switch (event.kind) {
    case 'start':
      return onStart(fork, nowMs);
    case 'stop':
      return onStop(fork, nowMs, 'stay', 'it was asked to stop');
    case 'restart':
      return hasProcess(fork)
        ? onStop({ ...fork, crashes: 0 }, nowMs, 'start', event.reason)
        : spawn({ ...fork, crashes: 0 }, nowMs);
    case 'heartbeat':
      return onHeartbeat({ ...fork, heardMs: nowMs, isWarned: false }, event.memoryBytes, nowMs, limits);
    case 'ready':
      return isUp(fork) ? [enter(fork, fork.phase === Phase.Ready ? fork.sinceMs : nowMs, Phase.Ready, ''), []] : [fork, []];
    case 'unhealthy':
      return isUp(fork)
        ? [enter(fork, fork.phase === Phase.Unhealthy ? fork.sinceMs : nowMs, Phase.Unhealthy, event.reason), []]
        : [fork, []];
    case 'failed':
      return hasProcess(fork) ? [{ ...fork, reason: event.reason }, []] : [fork, []];
    case 'exited':
      return onExit(fork, event.reason, nowMs, limits);
    case 'tick':
      return onTick(fork, nowMs, limits);
  }
}

/** True while there is a process. */
export function hasProcess(fork: Fork): boolean {
  return fork.phase !== Phase.Stopped && fork.phase !== Phase.Backoff;
}

/** Wait before restart number `crashes` in a row: none, then `backoffMs` doubling. Unit: milliseconds. */
export function backoffDelay(crashes: number, limits: Pick<Limits, 'backoffMs' | 'backoffMaxMs'>): number {
  if (crashes <= 1) return 0;
  return Math.min(limits.backoffMaxMs, limits.backoffMs * 2 ** Math.min(crashes - 2, 30));
}

function isUp({ phase }: Fork): boolean {
  return phase === Phase.Starting || phase === Phase.Ready || phase === Phase.Unhealthy;
}

function enter(fork: Fork, sinceMs: number, phase: Phase, reason: string): Fork {
  return { ...fork, phase, sinceMs, reason };
}

function spawn(fork: Fork, nowMs: number): Step {
  const next: Fork = {
    ...fork,
    phase: Phase.Starting,
    afterwards: 'start',
    sinceMs: nowMs,
    heardMs: nowMs,
    tickMs: nowMs,
    isWarned: false,
    isKilled: false,
    // Of a process that keeps failing the last reason stays visible until it is ready.
    reason: fork.crashes > 0 ? fork.reason : '',
  };
  return [next, [{ kind: 'spawn' }]];
}

function onStart(fork: Fork, nowMs: number): Step {
  if (fork.phase === Phase.Stopping) return [{ ...fork, afterwards: 'start' }, []];
  return hasProcess(fork) ? [fork, []] : spawn({ ...fork, crashes: 0 }, nowMs);
}

function onStop(fork: Fork, nowMs: number, afterwards: Fork['afterwards'], reason: string): Step {
  if (!hasProcess(fork)) return [{ ...enter(fork, nowMs, Phase.Stopped, ''), afterwards: 'stay' }, []];
  if (fork.phase === Phase.Stopping) return [{ ...fork, afterwards: afterwards === 'stay' ? 'stay' : fork.afterwards }, []];
  return [{ ...enter(fork, nowMs, Phase.Stopping, reason), afterwards }, [{ kind: 'ask_to_stop' }]];
}

function onHeartbeat(fork: Fork, memoryBytes: number, nowMs: number, limits: Limits): Step {
  if (!isUp(fork) || memoryBytes <= limits.memoryMaxBytes) return [fork, []];
  const reason = `it uses ${mib(memoryBytes)} MiB, more than the allowed ${mib(limits.memoryMaxBytes)} MiB`;
  const [next, actions] = onStop({ ...fork, crashes: crashesSoFar(fork, nowMs, limits) + 1 }, nowMs, 'start', reason);
  return [next, [{ kind: 'say', level: 'warn', message: 'restarting a service that uses too much memory', reason }, ...actions]];
}

function onExit(fork: Fork, exit: string, nowMs: number, limits: Limits): Step {
  if (!hasProcess(fork)) return [fork, []];
  if (fork.phase === Phase.Stopping && fork.afterwards === 'stay') return [enter(fork, nowMs, Phase.Stopped, ''), []];
  const isWanted = fork.phase === Phase.Stopping;
  const crashes = isWanted ? fork.crashes : crashesSoFar(fork, nowMs, limits) + 1;
  // What it said of itself explains more than how it ended; so does why it was stopped or killed.
  const reason = fork.phase === Phase.Ready ? exit : fork.reason || exit;
  const next: Fork = { ...fork, crashes, restarts: fork.restarts + 1, reason };
  const say: ForkAction[] = isWanted
    ? []
    : [{ kind: 'say', level: 'error', message: 'a service has ended unexpectedly', reason }];
  const delayMs = backoffDelay(crashes, limits);
  if (delayMs > 0) return [{ ...enter(next, nowMs, Phase.Backoff, reason), retryAtMs: nowMs + delayMs }, say];
  const [spawned, actions] = spawn(next, nowMs);
  return [spawned, [...say, ...actions]];
}

/** Crashes in a row, none when it has been well for long enough since. */
function crashesSoFar(fork: Fork, nowMs: number, { healthyMs }: Limits): number {
  return fork.phase === Phase.Ready && nowMs - fork.sinceMs >= healthyMs ? 0 : fork.crashes;
}

function onTick(before: Fork, nowMs: number, limits: Limits): Step {
  const gapMs = nowMs - before.tickMs;
  // When the supervisor itself stood still (suspended, no processor), silence is no sign of hanging.
  const fork: Fork = { ...before, tickMs: nowMs, heardMs: gapMs > limits.hangMs / 4 ? before.heardMs + gapMs : before.heardMs };
  const silentMs = nowMs - fork.heardMs;
  const forMs = nowMs - fork.sinceMs;
  switch (fork.phase) {
    case Phase.Stopped:
      return [fork, []];
    case Phase.Backoff:
      return nowMs >= fork.retryAtMs ? spawn(fork, nowMs) : [fork, []];
    case Phase.Stopping:
      if (fork.isKilled || forMs < limits.stopMs) return [fork, []];
      return kill(fork, `it did not stop within ${limits.stopMs} ms`);
    case Phase.Starting:
      if (fork.isKilled) return [fork, []];
      if (forMs >= limits.startMs) return kill(fork, `it was not ready within ${limits.startMs} ms`);
      // Silent until its code is loaded; that is bounded by `startMs`.
      return fork.heardMs > fork.sinceMs ? onSilence(fork, silentMs, limits) : [fork, []];
    case Phase.Ready:
    case Phase.Unhealthy:
      if (fork.isKilled) return [fork, []];
      return onSilence({ ...fork, crashes: crashesSoFar(fork, nowMs, limits) }, silentMs, limits);
  }
}

function onSilence(fork: Fork, silentMs: number, limits: Limits): Step {
  if (silentMs >= limits.hangMs) {
    // Unhealthy first, so that the reason outlives the exit.
    return kill(
      { ...fork, phase: fork.phase === Phase.Ready ? Phase.Unhealthy : fork.phase },
      `it has not answered for ${silentMs} ms`,
    );
  }
  if (silentMs < limits.hangMs / 2 || fork.isWarned) return [fork, []];
  const reason = `it has not answered for ${silentMs} ms; it will be killed at ${limits.hangMs} ms`;
  return [{ ...fork, isWarned: true }, [{ kind: 'say', level: 'warn', message: 'a service does not answer', reason }]];
}

function kill(fork: Fork, reason: string): Step {
  return [
    { ...fork, isKilled: true, reason },
    [{ kind: 'say', level: 'error', message: 'killing a service', reason }, { kind: 'kill' }],
  ];
}

function mib(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}
