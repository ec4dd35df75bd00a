import type Docker from 'dockerode';
import { Code, Fault, failedPrecondition } from '#kernel/fault.ts';
import type { Engine } from '../docker-engine/connect.ts';

/** One of the swarm's nodes whose engine we can speak to. */
export interface SwarmNode {
  readonly id: string;
  readonly name: string;
  /** Where what it publishes is reached. */
  readonly address: string;
  readonly docker: Docker;
  readonly isManager: boolean;
}

interface SwarmInfo {
  readonly NodeID: string;
  readonly NodeAddr: string;
  readonly LocalNodeState: string;
  readonly ControlAvailable: boolean;
  readonly Cluster?: { readonly ID: string };
}

/** The nodes behind a host's engines, those that answer. Members live on these only, since nobody could look after their volumes elsewhere. */
export class SwarmNodes {
  readonly #engines: readonly Engine[];
  readonly #timeoutMs: number;
  /** What an engine said of itself last; it stays the same node for as long as it is in the swarm. */
  readonly #known = new Map<Engine, SwarmNode>();

  constructor(engines: readonly Engine[], timeoutMs: number) {
    this.#engines = engines;
    this.#timeoutMs = timeoutMs;
  }

  /** Errors: `engine_unreachable` when none answers; `engine_unsuitable` for one that is in no swarm. */
  async all(signal: AbortSignal): Promise<readonly SwarmNode[]> {
    const looks = await Promise.allSettled(this.#engines.map((engine) => this.#look(engine, signal)));
    const found = looks.flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []));
    signal.throwIfAborted();
    const [failure] = looks.filter((look) => look.status === 'rejected');
    if (found.length === 0) throw failure?.reason;
    return found;
  }

  /**
   * One that takes orders: a manager that has a leader, since one that is cut off from the others answers, and can do nothing.
   * Errors: as `all`; `unavailable` when there is none.
   */
  async manager(signal: AbortSignal): Promise<SwarmNode> {
    const managers = (await this.all(signal)).filter(({ isManager }) => isManager);
    const led = managers.map(async (node) => {
      await this.#inTime(node.docker.swarmInspect(), signal);
      return node;
    });
    try {
      return await Promise.any(led);
    } catch (error) {
      signal.throwIfAborted();
      throw new Fault(Code.Unavailable, 'None of the engines that answer is a manager of a swarm that has a leader', {
        reason: 'engine_unreachable',
        hint: 'Name the addresses of managers; more than half of them have to reach each other.',
        cause: error,
      });
    }
  }

  /** What is known of all nodes, also of those that do not answer now. */
  get known(): readonly SwarmNode[] {
    return [...this.#known.values()];
  }

  async #look(engine: Engine, signal: AbortSignal): Promise<SwarmNode> {
    const info = (await this.#inTime(engine.docker.info(), signal)) as { readonly Name: string; readonly Swarm?: SwarmInfo };
    if (info.Swarm?.LocalNodeState !== 'active') {
      throw failedPrecondition(`The engine "${info.Name}" is in no swarm`, {
        reason: 'engine_unsuitable',
        hint: 'Run "docker swarm init" there, or add it as a host of type "docker".',
      });
    }
    const { NodeID: id, NodeAddr: address, ControlAvailable: isManager } = info.Swarm;
    const node = { id, address, name: info.Name, docker: engine.docker, isManager };
    this.#known.set(engine, node);
    return node;
  }

  async #inTime<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
    return await Promise.race([
      task,
      new Promise<never>((_, reject) => late.addEventListener('abort', () => reject(late.reason))),
    ]);
  }
}
