import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Agent, type LoadVolumeRequestSchema, type SaveVolumeRequestSchema } from '#gen/cellar/fleet/v1/agent_pb.ts';
import type { Micro } from '#kernel/services/service.ts';
import { agentService, relayService } from '../common/services.ts';
import type { Ability, ClusterRef, Driver, EngineRef } from './driver.ts';
import { checkMessage, engineMessage, memberMessage, readAnswer, readSighting, readType } from './messages.ts';

/** A driver in another service, reached through the agent's contract: the platform's own, or one that has dialled in. `epoch` is that of the caller's lease, asked with each call. */
export function createRemoteDriver({ client }: Pick<Micro, 'client'>, ref: EngineRef, epoch: () => number): Driver {
  const agent = client(Agent, { service: ref.isRemote ? relayService : agentService });
  const engine = () => engineMessage(ref, epoch());
  const of = ({ cluster, incarnation }: ClusterRef) => ({ engine: engine(), cluster, incarnation });
  return {
    async probe(signal) {
      const { type, version, identity, cores, memoryBytes, abilities } = await agent.probeEngine(
        { engine: engine() },
        { signal },
      );
      return {
        type: readType(type),
        version,
        identity,
        cores,
        memoryBytes: Number(memoryBytes),
        abilities: abilities as Ability[],
      };
    },
    observe: async (cluster = '', signal) => readSighting(await agent.observe({ engine: engine(), cluster }, { signal })),
    create: async (cluster, members, labels, signal) =>
      void (await agent.createMembers({ ...of(cluster), labels, members: members.map(memberMessage) }, { signal })),
    start: async (cluster, members, signal) =>
      void (await agent.startMembers({ ...of(cluster), members: [...members] }, { signal })),
    stop: async (cluster, members, signal) =>
      void (await agent.stopMembers({ ...of(cluster), members: [...members] }, { signal })),
    remove: async (cluster, signal) => (await agent.removeMembers(of(cluster), { signal })).removed,
    freePorts: async (ports, signal) => (await agent.probePorts({ engine: engine(), ports: [...ports] }, { signal })).free,
    async ask(cluster, questions, signal) {
      const { results } = await agent.checkMembers({ ...of(cluster), checks: questions.map(checkMessage) }, { signal });
      return results.map(readAnswer);
    },
    async *logs({ member, isFollowing, tail, ...cluster }, signal) {
      for await (const { time, ...line } of agent.readLogs({ ...of(cluster), member, tail, follow: isFollowing }, { signal }))
        yield { member: line.member, text: line.text, isError: line.isError, timeMs: time ? timestampMs(time) : 0 };
    },
    async *use(cluster, isFollowing, signal) {
      for await (const { members } of agent.watchStats({ ...of(cluster), follow: isFollowing }, { signal }))
        yield members.map((one) => ({ ...one, memoryBytes: Number(one.memoryBytes) }));
    },
    exec: (cluster, member, command, signal) => agent.exec({ ...of(cluster), member, command: [...command] }, { signal }),
    async *saveVolume(cluster, member, volume, signal) {
      for await (const { data } of agent.saveVolume({ ...of(cluster), member, volume }, { signal })) yield data;
    },
    async loadVolume(cluster, member, volume, archive, signal) {
      await agent.loadVolume(loading({ ...of(cluster), member, volume }, archive), { signal });
    },
    async *watch(signal) {
      for await (const { cluster } of agent.watchEngine({ engine: engine() }, { signal })) yield cluster;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* loading(
  target: MessageInitShape<typeof SaveVolumeRequestSchema>,
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<MessageInitShape<typeof LoadVolumeRequestSchema>> {
  yield { target };
  for await (const data of archive) yield { data };
}
