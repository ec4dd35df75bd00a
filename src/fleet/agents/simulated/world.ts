import { createBell } from '#lib/bell.ts';
import type { Imagined, ImaginedFiles } from './imagine-script.ts';

/** A seeded source of numbers from 0 to 1, the same for the same seed. Source: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface SimulatedMember {
  readonly cluster: string;
  readonly incarnation: number;
  readonly member: string;
  readonly digest: string;
  /** Who has made it; nobody else sees it. Absent: a fleet without a name. */
  readonly fleet?: string;
  /** What it is made of; absent of one that is just there. */
  readonly made?: SimulatedMaking;
  /** What its command does; absent: it goes on for ever. */
  run?: Imagined;
  state: 'running' | 'exited';
  exitCode: number;
  startedMs: number;
  restarts: number;
  /** It runs and answers nothing. */
  isHung: boolean;
  /** What it answers to questions about a height. */
  height: number;
}

export interface SimulatedMaking {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: ImaginedFiles;
  /** Of the host; it listens on them while it runs. */
  readonly ports: readonly number[];
}

/** How a simulated engine misbehaves. Shares are from 0 to 1. */
export interface Troubles {
  /** Nothing gets through to it. */
  isAway: boolean;
  /** Share of calls that fail before they do anything, and after they have done all. */
  failsBefore: number;
  failsAfter: number;
  /** Each call takes so long. Unit: milliseconds. */
  latencyMs: number;
}

/** One simulated host: what runs on it survives whoever looks at it, as on a real one. */
export class SimulatedHost {
  readonly members = new Map<string, SimulatedMember>();
  readonly volumes = new Map<string, { readonly cluster: string; readonly incarnation: number; readonly fleet?: string }>();
  /** Ports that others listen on. */
  readonly taken = new Set<number>();
  /** Those whose script comes to an end. */
  readonly ending = new Set<SimulatedMember>();
  /** Programs that are not installed. */
  readonly missing = new Set<string>();
  readonly troubles: Troubles = { isAway: false, failsBefore: 0, failsAfter: 0, latencyMs: 0 };
  readonly #watchers = new Set<(cluster: string) => void>();

  /** Somebody is told of a cluster in which something has changed. */
  tell(cluster: string): void {
    for (const watcher of this.#watchers) watcher(cluster);
  }

  async *watch(everyMs: number, look: () => void, signal: AbortSignal): AsyncGenerator<string> {
    const bell = createBell();
    const names = new Set<string>();
    const watcher = (cluster: string): void => {
      names.add(cluster);
      bell.ring();
    };
    this.#watchers.add(watcher);
    try {
      while (!signal.aborted) {
        look();
        yield* names;
        names.clear();
        await bell.wait(everyMs, signal);
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}

/** The simulated hosts of one process, by their address. */
export class SimulatedWorld {
  readonly #hosts = new Map<string, SimulatedHost>();

  host(address: string): SimulatedHost {
    const known = this.#hosts.get(address);
    if (known) return known;
    const made = new SimulatedHost();
    this.#hosts.set(address, made);
    return made;
  }

  get hosts(): readonly SimulatedHost[] {
    return [...this.#hosts.values()];
  }
}
