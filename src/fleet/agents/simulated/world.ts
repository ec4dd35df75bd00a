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
  state: 'running' | 'exited';
  exitCode: number;
  startedMs: number;
  restarts: number;
  /** It runs and answers nothing. */
  isHung: boolean;
  /** What it answers to questions about a height. */
  height: number;
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
  readonly volumes = new Map<string, { readonly cluster: string; readonly incarnation: number }>();
  /** Ports that others listen on. */
  readonly taken = new Set<number>();
  readonly troubles: Troubles = { isAway: false, failsBefore: 0, failsAfter: 0, latencyMs: 0 };
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
