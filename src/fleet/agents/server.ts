import { Code, Fault } from '#kernel/fault.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { AgentType } from '../common/words.ts';

import type { Driver, EngineRef } from '../driver/driver.ts';
import { servedHost } from './logic/served-host.ts';
import { agentRpc } from './rpc/agent-controller.ts';
import { introductionRpc } from './rpc/introduction.ts';
import { renewalRpc } from './rpc/renewal.ts';
import type { AgentSettings } from './settings.ts';

export type DriverMaker = (engine: EngineRef, micro: Micro<AgentSettings>) => Promise<Driver>;

/** By type; each is loaded when a host of its type is there. */
const makers: Readonly<Partial<Record<AgentType, () => Promise<DriverMaker>>>> = {
  process: async () => (await import('./process/make-driver.ts')).makeProcessDriver,
  docker: async () => (await import('./docker/make-driver.ts')).makeDockerDriver,
  swarm: async () => (await import('./swarm/make-driver.ts')).makeSwarmDriver,
  kubernetes: async () => (await import('./kubernetes/make-driver.ts')).makeKubernetesDriver,
  simulated: async () => (await import('./simulated/make-driver.ts')).makeSimulatedDriver,
};

export function createServer(micro: Micro<AgentSettings>): Running {
  const made = new Map<string, Promise<Driver>>();
  const assertServed = servedHost(micro.plan);
  const driverOf = async (engine: EngineRef): Promise<Driver> => {
    assertServed(engine.host);
    const key = JSON.stringify([engine.type, engine.address, engine.credentials, engine.fleet, engine.host]);
    const known = made.get(key);
    if (known) return await known;
    const driver = makeDriver(engine, micro);
    made.set(key, driver);
    // One that could not be made is tried again with the next call.
    driver.catch(() => made.delete(key));
    return await driver;
  };
  return {
    bindings: [agentRpc(driverOf), introductionRpc(assertServed), renewalRpc(micro.plan, assertServed, micro.log)],
    async stop() {
      for (const driver of await Promise.allSettled(made.values()))
        if (driver.status === 'fulfilled') await driver.value[Symbol.asyncDispose]();
    },
  };
}

async function makeDriver(engine: EngineRef, micro: Micro<AgentSettings>): Promise<Driver> {
  const load = makers[engine.type];
  if (!load)
    throw new Fault(Code.Unimplemented, `Hosts of type "${engine.type}" cannot be used yet`, { reason: 'agent_missing' });
  return await (await load())(engine, micro);
}
