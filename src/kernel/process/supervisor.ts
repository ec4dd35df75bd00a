import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Log } from '../log.ts';
import { type MetricFamily, withLabel } from '../metrics.ts';
import { type Registration, type Registry, ServiceState } from '../services/registry.ts';
import type { Given } from '../settings/resolve.ts';
import type { Need } from './instances.ts';
import { readLines } from './lines.ts';
import type { FromFork, ToFork } from './messages.ts';
import { socketPath } from './paths.ts';
import {
  type Fork,
  type ForkAction,
  type ForkEvent,
  hasProcess,
  type Limits,
  Phase,
  stoppedFork,
  supervise,
} from './supervise.ts';
import type { RemoteAddresses } from './surroundings.ts';

/** One process to keep running: an instance of a service. */
export interface ForkSpec {
  /** Full name of the instance. */
  readonly name: string;
  readonly contracts: readonly string[];
  readonly hasHttp: boolean;
  readonly plan: unknown;
  readonly needs: readonly Need[];
}

export interface SupervisorOptions {
  readonly home: string;
  readonly machine: string;
  readonly registry: Registry;
  readonly log: Log;
  /** Asked at every decision, since they are settings. */
  readonly limits: () => Limits;
  /** Makes the process of an instance, with an IPC channel and pipes for stdout and stderr. */
  readonly spawn: (name: string) => ChildProcess;
  /** What is given of the settings an instance may know. */
  readonly settingsFor: (name: string) => readonly Given[];
  /** Takes a log line of a process, newline included. */
  readonly writeLine: (line: string) => void;
  /** Told of every process made and ended, by their ids. */
  readonly onProcesses: (pids: readonly number[]) => void;
}

/** What is known of a supervised process beyond the registry. */
export interface ForkStats {
  readonly memoryBytes: number;
  readonly cpuPercent: number;
}

interface Child {
  spec: ForkSpec;
  fork: Fork;
  process: ChildProcess | undefined;
  stats: ForkStats;
  startTimeMs: number;
  /** How other machines reach it, when there are any. */
  remote: RemoteAddresses | undefined;
}

const tickMs = 100;
const metricsTimeoutMs = 2000;

/** Runs processes and keeps them running. What to do is decided by `supervise`; this does it. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<string, Child>();
  readonly #waiting = new Map<number, (families: readonly MetricFamily[]) => void>();
  readonly #unwatch: () => void;
  readonly #timer: NodeJS.Timeout;
  #nextId = 1;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#unwatch = options.registry.watch((registration) => this.#broadcast(registration));
  }

  get names(): readonly string[] {
    return [...this.#children.keys()];
  }

  stats(name: string): ForkStats | undefined {
    return this.#children.get(name)?.stats;
  }

  /** Starts a process, or tells one that runs of a new plan by restarting it. */
  start(spec: ForkSpec): void {
    const known = this.#children.get(spec.name);
    if (known) {
      known.spec = spec;
      this.#happened(known, hasProcess(known.fork) ? { kind: 'restart', reason: 'its plan has changed' } : { kind: 'start' });
      return;
    }
    const child: Child = {
      spec,
      fork: stoppedFork,
      process: undefined,
      stats: { memoryBytes: 0, cpuPercent: 0 },
      startTimeMs: 0,
      remote: undefined,
    };
    this.#children.set(spec.name, child);
    this.#happened(child, { kind: 'start' });
  }

  /** Tells a process of a new plan that it takes over while it runs; one that is just starting gets it as its first. */
  replan(name: string, plan: unknown): void {
    const child = this.#children.get(name);
    if (!child) return;
    child.spec = { ...child.spec, plan };
    this.#send(child, { kind: 'plan', plan });
    this.#publish(child);
  }

  /** How other machines reach a service's process. */
  remote(name: string): RemoteAddresses | undefined {
    return this.#children.get(name)?.remote;
  }

  /** Restarts in order. Result: false when there is no such process. */
  restart(name: string, reason: string): boolean {
    const child = this.#children.get(name);
    if (child) this.#happened(child, { kind: 'restart', reason });
    return child !== undefined;
  }

  /** Stops a process for good; resolves when it has ended, which its time-outs bound. */
  async stop(name: string): Promise<void> {
    const child = this.#children.get(name);
    if (!child) return;
    const { process } = child;
    const ended = process && process.exitCode === null && process.signalCode === null ? once(process, 'exit') : undefined;
    this.#happened(child, { kind: 'stop' });
    await ended;
    this.#children.delete(name);
    this.#options.registry.remove(name);
  }

  /** Kills what is still there, at once; for a second Ctrl-C. */
  killAll(): void {
    for (const { process } of this.#children.values()) process?.kill('SIGKILL');
  }

  /** Tells every process what the settings are now. */
  tellSettings(): void {
    for (const child of this.#children.values()) {
      this.#send(child, { kind: 'settings', settings: this.#options.settingsFor(child.spec.name) });
    }
  }

  /** The numbers of all processes; of one that does not answer in time, none. */
  async families(): Promise<MetricFamily[]> {
    const all = await Promise.all(
      [...this.#children.values()].map(async (child) => {
        const id = this.#nextId++;
        const { promise, resolve } = Promise.withResolvers<readonly MetricFamily[]>();
        const timer = setTimeout(() => resolve([]), metricsTimeoutMs);
        this.#waiting.set(id, resolve);
        if (!this.#send(child, { kind: 'metrics', id })) resolve([]);
        const families = await promise;
        clearTimeout(timer);
        this.#waiting.delete(id);
        return families;
      }),
    );
    return all.flat();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unwatch();
  }

  #tick(): void {
    for (const child of this.#children.values()) this.#happened(child, { kind: 'tick' });
  }

  #happened(child: Child, event: ForkEvent): void {
    const before = child.fork;
    const [next, actions] = supervise(before, event, Date.now(), this.#options.limits());
    child.fork = next;
    for (const action of actions) this.#act(child, action);
    const isChanged = before.phase !== next.phase || before.reason !== next.reason || before.restarts !== next.restarts;
    if (isChanged || event.kind === 'ready' || event.kind === 'unhealthy') this.#publish(child);
  }

  #act(child: Child, action: ForkAction): void {
    switch (action.kind) {
      case 'spawn':
        this.#spawn(child);
        return;
      case 'kill':
        child.process?.kill('SIGKILL');
        return;
      case 'ask_to_stop':
        if (!this.#send(child, { kind: 'stop', timeoutMs: this.#options.limits().stopMs })) child.process?.kill('SIGTERM');
        return;
      case 'say':
        this.#options.log[action.level](action.message, {
          service: child.spec.name,
          reason: action.reason,
          pid: child.process?.pid,
        });
    }
  }

  #spawn(child: Child): void {
    const { name } = child.spec;
    child.remote = undefined;
    child.startTimeMs = Date.now();
    const process = this.#options.spawn(name);
    child.process = process;
    const isCurrent = (): boolean => child.process === process;
    let isOver = false;
    const over = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      this.#tellProcesses();
      if (isCurrent()) this.#happened(child, { kind: 'exited', reason });
    };
    process.on('message', (message: FromFork) => {
      if (isCurrent() && !isOver) this.#heard(child, message);
    });
    process.on('error', (error) => {
      if (process.pid === undefined) over(`it could not be started: ${error.message}`);
      else this.#options.log.warn('a process could not be told something', { service: name, error });
    });
    process.on('exit', (code, signal) => over(signal ? `it was ended by ${signal}` : `it ended with code ${code}`));
    if (process.stdout) readLines(process.stdout, (line) => this.#options.writeLine(asLogLine(line, name, 'info')));
    if (process.stderr) readLines(process.stderr, (line) => this.#options.writeLine(asLogLine(line, name, 'error')));
    this.#tellProcesses();
  }

  #heard(child: Child, message: FromFork): void {
    switch (message.kind) {
      case 'hello':
        this.#send(child, {
          kind: 'init',
          home: this.#options.home,
          machine: this.#options.machine,
          name: child.spec.name,
          plan: child.spec.plan,
          needs: child.spec.needs,
          settings: this.#options.settingsFor(child.spec.name),
          registry: this.#options.registry.all.map((registration) => this.#asSeenByForks(registration)),
          restarts: child.fork.restarts,
        });
        return;
      case 'heartbeat':
        child.stats = { memoryBytes: message.memoryBytes, cpuPercent: message.cpuPercent };
        this.#happened(child, { kind: 'heartbeat', memoryBytes: message.memoryBytes });
        return;
      case 'registry':
        child.remote = message.remote;
        if (message.registration.state === ServiceState.Ready) this.#happened(child, { kind: 'ready' });
        else if (message.registration.state === ServiceState.Unhealthy)
          this.#happened(child, { kind: 'unhealthy', reason: message.registration.reason });
        return;
      case 'failed':
        this.#happened(child, { kind: 'failed', reason: message.reason });
        return;
      case 'metrics':
        this.#waiting.get(message.id)?.(withLabel(message.families, 'process', child.spec.name));
    }
  }

  #publish(child: Child): void {
    const { spec, fork } = child;
    const { home, machine, registry } = this.#options;
    registry.set({
      service: spec.name,
      contracts: spec.contracts,
      plan: spec.plan,
      address: { kind: 'local', path: socketPath(home, spec.name) },
      http: spec.hasHttp ? { kind: 'local', path: socketPath(home, spec.name, 'http') } : undefined,
      state: states[fork.phase],
      reason: fork.reason,
      machine,
      pid: hasProcess(fork) ? (child.process?.pid ?? 0) : 0,
      restarts: fork.restarts,
      startTimeMs: child.startTimeMs,
    });
  }

  #broadcast(registration: Registration): void {
    const { registry } = this.#options;
    const message: ToFork = registry.get(registration.service)
      ? { kind: 'registry', registration: this.#asSeenByForks(registration) }
      : { kind: 'gone', service: registration.service };
    for (const child of this.#children.values()) {
      if (child.spec.name !== registration.service) this.#send(child, message);
    }
  }

  /** What runs in the main process is not `direct` for others. */
  #asSeenByForks(registration: Registration): Registration {
    const { home } = this.#options;
    return {
      ...registration,
      address: registration.address.kind === 'direct' ? { kind: 'local', path: socketPath(home, 'main') } : registration.address,
      http: registration.http?.kind === 'direct' ? { kind: 'local', path: socketPath(home, 'main', 'http') } : registration.http,
    };
  }

  #send(child: Child, message: ToFork): boolean {
    const { process } = child;
    if (!process?.connected) return false;
    // A failure means that it is ending; `exit` follows.
    process.send(message, () => undefined);
    return true;
  }

  #tellProcesses(): void {
    this.#options.onProcesses(
      [...this.#children.values()].flatMap(({ process }) =>
        process?.pid !== undefined && process.exitCode === null && process.signalCode === null ? [process.pid] : [],
      ),
    );
  }
}

const states: Readonly<Record<Phase, ServiceState>> = {
  [Phase.Stopped]: ServiceState.Stopped,
  [Phase.Starting]: ServiceState.Starting,
  [Phase.Ready]: ServiceState.Ready,
  [Phase.Unhealthy]: ServiceState.Unhealthy,
  [Phase.Backoff]: ServiceState.Backoff,
  [Phase.Stopping]: ServiceState.Stopping,
};

/** Lines that are not ours (a crash of the runtime, a library's print) become ones that are. */
function asLogLine(line: string, service: string, level: string): string {
  if (line.startsWith('{"time":')) return `${line}\n`;
  return `${JSON.stringify({ time: new Date().toISOString(), level, message: line, service })}\n`;
}
