import { Introduction } from '#gen/cellar/fleet/v1/agents_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { createClient } from '#kernel/calls/client.ts';
import type { Method } from '#kernel/calls/contract.ts';
import { aborted, Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { Dialled } from '#kernel/transports/dialled/accept.ts';
import { replacedReason } from '#kernel/transports/dialled/dial.ts';
import { agentService } from '../../common/services.ts';

/** What is known of the agent of a host since the platform started. */
export interface AgentState {
  readonly isConnected: boolean;
  readonly version: string;
  /** Names of what it can do; undefined: it does not say. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly address: string;
  /** Since when it is so. Milliseconds since 1970. */
  readonly changeMs: number;
  /** Why it is not connected. */
  readonly why: string;
}

export interface ConnectionsOptions {
  readonly caller: Caller;
  /** Of the platform. */
  readonly version: string;
  readonly log: Log;
  readonly now: () => number;
  /** An agent serves its host from now on. */
  readonly onConnected?: (host: string, channel: Dialled['channel']) => void;
}

interface Held {
  readonly dialled: Dialled;
  /** Of the connection, counted as they came. */
  readonly number: number;
}

/** The connections of agents, one for each host: when two come for one host, the newer has it and the older is closed. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #held = new Map<string, Held>();
  readonly #states = new Map<string, AgentState>();
  #count = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Those that are connected, by host. */
  get channels(): ReadonlyMap<string, Dialled['channel']> {
    return new Map([...this.#held].map(([host, { dialled }]) => [host, dialled.channel]));
  }

  get size(): number {
    return this.#held.size;
  }

  state(host: string): AgentState | undefined {
    return this.#states.get(host);
  }

  forget(host: string): void {
    if (!this.#held.has(host)) this.#states.delete(host);
  }

  /** The way to the agent of a host that can do `method`. Result: undefined when it is not connected. Errors: `unimplemented`. */
  find(host: string, method: Method): Dialled['channel'] | undefined {
    const held = this.#held.get(host);
    if (!held) return undefined;
    const { methods, version = '' } = this.#states.get(host) ?? {};
    if (methods && !methods.has(method.name)) {
      throw new Fault(
        Code.Unimplemented,
        `The agent of host "${host}" is of version ${version} and does not know ${method.name}`,
        {
          reason: 'agent_too_old',
          hint: 'Bring Cellar on that machine to the version of the platform.',
        },
      );
    }
    return held.dialled.channel;
  }

  /** Asks a new connection what it is, and has it serve its host from then on. */
  async take(dialled: Dialled): Promise<void> {
    const number = ++this.#count;
    const { name: host, address } = dialled.peer;
    const { log } = this.#options;
    let introduced: Pick<AgentState, 'version' | 'methods'>;
    try {
      introduced = await this.#introduce(dialled);
    } catch (error) {
      const fault = Fault.from(error);
      log.warn('an agent could not introduce itself', { host, from: address, reason: fault.reason, why: fault.message });
      if (!this.#held.has(host))
        this.#note(host, { isConnected: false, version: '', methods: undefined, address, why: fault.message });
      dialled.goAway(fault);
      return;
    }
    const before = this.#held.get(host);
    if (before && before.number > number) {
      dialled.goAway(replaced(host, before.dialled.peer.address));
      return;
    }
    this.#held.set(host, { dialled, number });
    this.#note(host, { isConnected: true, ...introduced, address, why: '' });
    log.info('an agent is connected', { host, from: address, version: introduced.version });
    if (before) before.dialled.goAway(replaced(host, address));
    this.#options.onConnected?.(host, dialled.channel);
    const { message } = await dialled.ended;
    if (this.#held.get(host)?.number !== number) return;
    this.#held.delete(host);
    this.#note(host, { isConnected: false, ...introduced, address, why: message });
    log.warn('an agent is not connected any more', { host, from: address, why: message });
  }

  async #introduce({ channel, peer }: Dialled): Promise<Pick<AgentState, 'version' | 'methods'>> {
    const { caller, version } = this.#options;
    const agent = createClient(Introduction, { route: () => ({ channel, service: agentService }), caller });
    try {
      const said = await agent.introduceAgent({ host: peer.name, version });
      return { version: said.version, methods: new Set(said.methods) };
    } catch (error) {
      // From before there was an introduction.
      if (Fault.from(error).code === Code.Unimplemented) return { version: 'unknown', methods: undefined };
      throw error;
    }
  }

  #note(host: string, state: Omit<AgentState, 'changeMs'>): void {
    this.#states.set(host, { ...state, changeMs: this.#options.now() });
  }
}

const replaced = (host: string, address: string): Fault =>
  aborted(`Another agent has connected for host "${host}", from ${address}`, {
    reason: replacedReason,
    hint: 'One agent serves a host; end the one that is too many, and enrol the host anew if you do not know it.',
  });
