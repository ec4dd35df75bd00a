import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Agent, type EngineRef as EngineRefMessage, type LoadVolumeRequest } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { aborted, invalidArgument } from '#kernel/fault.ts';
import type { Driver, EngineRef } from '../../driver/driver.ts';
import { readCheck, readEngine, readMember, sightingMessage, typeMessage } from '../../driver/messages.ts';

/** The drivers of one agent, made when they are first needed. */
export type DriverPool = (engine: EngineRef) => Promise<Driver>;

export function agentRpc(drivers: DriverPool): Binding {
  /** The newest epoch seen of each fleet: whoever comes with an older one was overtaken while it did not know. */
  const epochs = new Map<string, bigint>();

  /** From the first question of a watchdog on, nobody before it changes what it has seen. */
  const reach = (engine: EngineRefMessage | undefined): Promise<Driver> => {
    if (!engine) throw invalidArgument('The request names no engine');
    const { fleet, epoch } = engine;
    if (epoch > (epochs.get(fleet) ?? 0n)) epochs.set(fleet, epoch);
    return drivers(readEngine(engine));
  };
  const change = (engine: EngineRefMessage | undefined): Promise<Driver> => {
    const { fleet = '', epoch = 0n } = engine ?? {};
    const newest = epochs.get(fleet) ?? 0n;
    if (epoch < newest)
      throw aborted(`Epoch ${epoch} has been overtaken by ${newest}: another watchdog works now`, { reason: 'epoch_passed' });
    return reach(engine);
  };

  return implement(Agent, {
    async probeEngine({ engine }, { signal }) {
      const info = await (await reach(engine)).probe(signal);
      return { ...info, type: typeMessage(info.type), memoryBytes: BigInt(info.memoryBytes), abilities: [...info.abilities] };
    },
    observe: async ({ engine, cluster }, { signal }) =>
      sightingMessage(await (await reach(engine)).observe(cluster || undefined, signal)),
    async createMembers({ engine, cluster, incarnation, members, labels }, { signal }) {
      const driver = await change(engine);
      await driver.create({ cluster, incarnation }, members.map(readMember), labels, signal);
      return sightingMessage(await driver.observe(cluster, signal));
    },
    async startMembers({ engine, cluster, incarnation, members }, { signal }) {
      const driver = await change(engine);
      await driver.start({ cluster, incarnation }, members, signal);
      return sightingMessage(await driver.observe(cluster, signal));
    },
    async stopMembers({ engine, cluster, incarnation, members }, { signal }) {
      const driver = await change(engine);
      await driver.stop({ cluster, incarnation }, members, signal);
      return sightingMessage(await driver.observe(cluster, signal));
    },
    async removeMembers({ engine, cluster, incarnation }, { signal }) {
      return { removed: await (await change(engine)).remove({ cluster, incarnation }, signal) };
    },
    probePorts: async ({ engine, ports }, { signal }) => ({ free: [...(await (await reach(engine)).freePorts(ports, signal))] }),
    async checkMembers({ engine, cluster, incarnation, checks }, { signal }) {
      const answers = await (await reach(engine)).ask({ cluster, incarnation }, checks.map(readCheck), signal);
      return {
        results: answers.map(({ isOk, isUnknown, value, message }) => ({ ok: isOk, unknown: isUnknown, value, message })),
      };
    },
    async *readLogs({ engine, cluster, incarnation, member, follow, tail }, { signal }) {
      const driver = await reach(engine);
      for await (const { timeMs, ...line } of driver.logs({ cluster, incarnation, member, isFollowing: follow, tail }, signal))
        yield { ...line, ...(timeMs > 0 ? { time: timestampFromMs(timeMs) } : {}) };
    },
    async *watchStats({ engine, cluster, incarnation, follow }, { signal }) {
      const driver = await reach(engine);
      for await (const members of driver.use({ cluster, incarnation }, follow, signal))
        yield { members: members.map((one) => ({ ...one, memoryBytes: BigInt(one.memoryBytes) })) };
    },
    exec: async ({ engine, cluster, incarnation, member, command }, { signal }) =>
      (await reach(engine)).exec({ cluster, incarnation }, member, command, signal),
    async *saveVolume({ engine, cluster, incarnation, member, volume }, { signal }) {
      const driver = await reach(engine);
      for await (const data of driver.saveVolume({ cluster, incarnation }, member, volume, signal)) yield { data };
    },
    async loadVolume(requests, { signal }) {
      const iterator = requests[Symbol.asyncIterator]();
      const first = await iterator.next();
      const target = first.done ? undefined : first.value.target;
      if (!target) throw invalidArgument('The first message has to say which volume is meant');
      const { engine, cluster, incarnation, member, volume } = target;
      const driver = await change(engine);
      await driver.loadVolume({ cluster, incarnation }, member, volume, dataOf(iterator), signal);
      return {};
    },
    async *watchEngine({ engine }, { signal }) {
      const driver = await reach(engine);
      for await (const cluster of driver.watch(signal)) yield { cluster };
    },
  });
}

async function* dataOf(requests: AsyncIterator<LoadVolumeRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await requests.next(); !next.done; next = await requests.next()) yield next.value.data;
}
