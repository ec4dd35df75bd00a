import { Code, Fault } from '#kernel/fault.ts';
import type { Driver, Leftover, SeenMember, Sighting } from '../../driver/driver.ts';

/** What was seen on one host. */
export interface HostSight {
  /** When the question was asked. Milliseconds of the monotonic clock. */
  readonly askedMs: number;
  readonly of: (cluster: string) => Sighting;
  /** Names of all clusters of which anything is there. */
  readonly clusters: ReadonlySet<string>;
}

/** Why a host could not be asked. */
export interface NotSeen {
  readonly askedMs: number;
  readonly error: Fault;
}

export const isSeen = (sight: HostSight | NotSeen): sight is HostSight => 'of' in sight;

const nothing: Sighting = { members: [], leftovers: [] };

/**
 * Looks at hosts, one question at a time for each: those who want to know at the same time share the answer, and an answer serves all who are
 * content with its age. So looking at all clusters of a host costs one question.
 */
export class HostSights {
  readonly #driverOf: (host: string) => Promise<Driver>;
  readonly #timeoutMs: number;
  readonly #last = new Map<string, HostSight | NotSeen>();
  readonly #asking = new Map<string, { readonly askedMs: number; readonly answer: Promise<HostSight | NotSeen> }>();

  constructor(driverOf: (host: string) => Promise<Driver>, timeoutMs: number) {
    this.#driverOf = driverOf;
    this.#timeoutMs = timeoutMs;
  }

  /** What was seen by a question asked at `sinceMs` or later. Rejects only by the signal. */
  async since(host: string, sinceMs: number, signal: AbortSignal): Promise<HostSight | NotSeen> {
    signal.throwIfAborted();
    const last = this.#last.get(host);
    if (last && last.askedMs >= sinceMs) return last;
    const asking = this.#asking.get(host);
    if (asking && asking.askedMs >= sinceMs) return await unlessAborted(asking.answer, signal);
    // A question that was asked too early has to end first, so that a slow engine is not asked twice at once.
    if (asking) await unlessAborted(asking.answer, signal);
    const now = this.#asking.get(host);
    if (now) return await this.since(host, sinceMs, signal);
    const askedMs = performance.now();
    const answer = this.#ask(host, askedMs).finally(() => this.#asking.delete(host));
    this.#asking.set(host, { askedMs, answer });
    return await unlessAborted(answer, signal);
  }

  /** The last look, however old. */
  latest(host: string): HostSight | NotSeen | undefined {
    return this.#last.get(host);
  }

  forget(host: string): void {
    this.#last.delete(host);
  }

  /** Without the signal of whoever asked first: others share the answer, and one who leaves must not make a host look unreachable. */
  async #ask(host: string, askedMs: number): Promise<HostSight | NotSeen> {
    let seen: HostSight | NotSeen;
    try {
      const driver = await this.#driverOf(host);
      const sighting = await driver.observe(undefined, AbortSignal.timeout(this.#timeoutMs));
      seen = { askedMs, ...grouped(sighting) };
    } catch (error) {
      const isSlow = error instanceof Error && error.name === 'TimeoutError';
      const slow = new Fault(Code.Unavailable, `Host "${host}" has not answered in ${this.#timeoutMs} ms`, {
        reason: 'engine_slow',
      });
      seen = { askedMs, error: isSlow ? slow : Fault.from(error) };
    }
    this.#last.set(host, seen);
    return seen;
  }
}

async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([answer, promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

function grouped({ members, leftovers }: Sighting): Omit<HostSight, 'askedMs'> {
  const byCluster = new Map<string, { members: SeenMember[]; leftovers: Leftover[] }>();
  const entry = (cluster: string) => {
    const known = byCluster.get(cluster);
    if (known) return known;
    const made = { members: [], leftovers: [] };
    byCluster.set(cluster, made);
    return made;
  };
  for (const member of members) entry(member.cluster).members.push(member);
  for (const leftover of leftovers) entry(leftover.cluster).leftovers.push(leftover);
  return { of: (cluster) => byCluster.get(cluster) ?? nothing, clusters: new Set(byCluster.keys()) };
}
