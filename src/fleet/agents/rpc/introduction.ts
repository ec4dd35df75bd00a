import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Introduction } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { readContract } from '#kernel/calls/contract.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import manifest from '../../../../package.json' with { type: 'json' };

/** Says what this agent is. `assertServed` throws for a host it does not serve. */
export function introductionRpc(assertServed: (host: string) => void): Binding {
  return implement(Introduction, {
    introduceAgent({ host }) {
      assertServed(host);
      return { version: manifest.version, methods: readContract(Agent).methods.map(({ name }) => name) };
    },
  });
}
