import { Agents, type RemoteAgent } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { Fault } from '#kernel/fault.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { StoredHost } from '../store/store.ts';

/** The agents that dial in, as the relay knows them. */
export interface RemoteAgents {
  /** Those of these hosts, by host. One that cannot be told is left out. */
  of(hosts: readonly StoredHost[], signal: AbortSignal): Promise<ReadonlyMap<string, RemoteAgent>>;
  /** The certificate of a host's agent is refused from then on. */
  revoke(host: StoredHost): Promise<void>;
}

export function createRemoteAgents({ client, log }: Pick<Micro, 'client' | 'log'>): RemoteAgents {
  const relay = client(Agents);
  return {
    async of(hosts, signal) {
      const ask = async ({ name }: StoredHost): Promise<[string, RemoteAgent][]> => {
        try {
          return [[name, await relay.getAgent({ host: name }, { signal })]];
        } catch (error) {
          log.debug('the agent of a host could not be told', { host: name, reason: Fault.from(error).reason });
          return [];
        }
      };
      return new Map((await Promise.all(hosts.filter(({ spec }) => spec.remoteAgent).map(ask))).flat());
    },
    async revoke({ name, spec }) {
      if (spec.remoteAgent) await relay.revokeAgent({ host: name });
    },
  };
}
