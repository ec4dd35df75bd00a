import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { failedPrecondition } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import type { ClusterRef, Driver, Executed, MemberUse } from '../../driver/driver.ts';
import { asking, type Engine, engineFault, messageOf } from '../docker-engine/connect.ts';
import { execute } from '../docker-engine/execute.ts';
import { logLines } from '../docker-engine/log-lines.ts';
import { useOf } from '../docker-engine/use-of.ts';
import { type EngineVolume, loadEngineVolume, saveEngineVolume } from '../docker-engine/volumes.ts';
import { watchEvents } from '../docker-engine/watch-events.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import { readMarks } from '../logic/marks.ts';
import { merged } from '../logic/merged.ts';
import { createMembers } from './create-members.ts';
import { SwarmNodes } from './nodes.ts';
import { newest, readService, type TaskView } from './read-service.ts';
import { leftoversOf, removeMembers } from './remove-members.ts';
import { beginMember, stopMember } from './run-members.ts';
import { addressOf, filterOf, look, memberMissing, type SwarmScope } from './scene.ts';
import { volumeOf } from './volume-of.ts';

export interface SwarmDriverOptions {
  /** Of the nodes that members may live on; a manager at least. */
  readonly engines: readonly Engine[];
  readonly host: string;
  readonly fleet: string;
}

const askMs = 30_000;
const nodeMs = 5_000;
const changeMs = 110_000;
/** Of a program that was ended by SIGKILL. */
const killedCode = 137;

/** Clusters as services of a swarm: an overlay network for each incarnation, a service for each member. */
export function createSwarmDriver({ engines, host, fleet }: SwarmDriverOptions): Driver {
  const nodes = new SwarmNodes(engines, nodeMs);
  const locks = createKeyedLock();
  const lockOf = ({ cluster, incarnation }: ClusterRef): string => `${cluster}/${incarnation}`;
  const scope: SwarmScope = { nodes, fleet, host };
  const managing = <T>(
    signal: AbortSignal,
    timeoutMs: number,
    task: (docker: Docker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => asking(signal, timeoutMs, async (patience) => await task((await nodes.manager(patience)).docker, patience));

  const found = (ref: ClusterRef, member: string, volume: string, signal: AbortSignal): Promise<EngineVolume> =>
    managing(signal, askMs, (docker, patience) => volumeOf(scope, docker, ref, member, volume, patience));

  /** Where a member's only task runs. Errors: `member_missing`, `member_stopped`, `member_unreachable`. */
  async function containerOf(docker: Docker, ref: ClusterRef, member: string): Promise<Docker.Container> {
    const { services, tasksOf } = await look(scope, docker, ref.cluster, ref.incarnation);
    const service = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
    if (!service) throw memberMissing(ref, member);
    const task = newest(tasksOf(service));
    const id = task?.Status.ContainerStatus?.ContainerID;
    if (task?.Status.State !== 'running' || !id)
      throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" does not run`, { reason: 'member_stopped' });
    const node = nodes.known.find((one) => one.id === task.NodeID);
    if (node) return node.docker.getContainer(id);
    throw failedPrecondition(`The node of member "${member}" is not among the engines of this host`, {
      reason: 'member_unreachable',
    });
  }

  /** Only a task's own engine knows whether it had used too much memory. */
  async function whyKilled(task: TaskView | undefined): Promise<{ readonly message?: string }> {
    const node = nodes.known.find(({ id }) => id === task?.NodeID);
    const id = task?.Status.ContainerStatus?.ContainerID;
    if (!node || !id) return {};
    try {
      const { State } = await node.docker.getContainer(id).inspect();
      return State.OOMKilled ? { message: 'was ended by the system: it used more memory than it may' } : {};
    } catch {
      return {}; // It is gone, or its engine does not answer: then there is nothing more to say.
    }
  }

  return {
    probe: (signal) =>
      asking(signal, askMs, async (patience) => {
        const { docker } = await nodes.manager(patience);
        const [version, info, all] = await Promise.all([docker.version(), docker.info(), docker.listNodes()]);
        const resources = all.map(
          ({ Description }) => (Description as { Resources?: { NanoCPUs: number; MemoryBytes: number } })?.Resources,
        );
        const sum = (pick: (of: { NanoCPUs: number; MemoryBytes: number }) => number): number =>
          resources.reduce((total, one) => total + (one ? pick(one) : 0), 0);
        return {
          ...{
            type: 'swarm',
            version: `Docker ${version.Version}, swarm of ${all.length}`,
            identity: `swarm:${info.Swarm.Cluster.ID}`,
          },
          cores: sum(({ NanoCPUs }) => NanoCPUs) / 1e9,
          memoryBytes: sum(({ MemoryBytes }) => MemoryBytes),
          abilities: ['exec', 'stats', 'limits', 'snapshot'],
        };
      }),
    observe: (cluster, signal) =>
      managing(signal, askMs, async (docker, patience) => {
        const { services, tasksOf, nodes: all } = await look(scope, docker, cluster);
        const seen = services.map(async (service) => {
          const member = readService(service, tasksOf(service), all, (node) => addressOf(scope, node));
          return member?.exitCode === killedCode ? { ...member, ...(await whyKilled(newest(tasksOf(service)))) } : member;
        });
        const members = (await Promise.all(seen)).filter((member) => member !== undefined);
        const whole = new Set(members.map((member) => `${member.cluster}/${member.incarnation}`));
        return { members, leftovers: await leftoversOf(scope, docker, cluster, whole, patience) };
      }),
    create: (ref, members, _labels, signal) =>
      managing(signal, changeMs, (docker, patience) =>
        locks.run(lockOf(ref), () => createMembers(scope, docker, ref, members, patience)),
      ),
    start: (ref, members, signal) =>
      managing(signal, askMs, async (docker) => {
        for (const member of members) await beginMember(scope, docker, ref, member);
      }),
    stop: (ref, members, signal) =>
      managing(signal, changeMs, async (docker, patience) => {
        for (const member of members) await stopMember(scope, docker, ref, member, patience);
      }),
    remove: (ref, signal) =>
      managing(signal, changeMs, (docker, patience) => locks.run(lockOf(ref), () => removeMembers(scope, docker, ref, patience))),
    /** What else listens on a node is found out when a service wants the port. */
    freePorts: (ports, signal) =>
      managing(signal, askMs, async (docker) => {
        const services = await docker.listServices();
        const taken = new Set(
          services.flatMap(({ Endpoint }) => Endpoint?.Ports?.map(({ PublishedPort }) => PublishedPort) ?? []),
        );
        return ports.filter((port) => !taken.has(port));
      }),
    async ask(ref, questions, signal) {
      const { members } = await this.observe(ref.cluster, signal);
      const placeOf = (member: string) =>
        members.find((one) => one.member === member && one.incarnation === ref.incarnation)?.address ?? '';
      return await Promise.all(
        questions.map(async (asked) => {
          const answer = await askNetwork(
            asked,
            ({ ports, member }, port) => {
              const place = placeOf(member);
              return ports[port] && ports[port].host > 0 && place !== '' ? { host: place, port: ports[port].host } : undefined;
            },
            signal,
          );
          if (answer) return answer;
          try {
            const { exitCode, output } = await this.exec(ref, asked.member, asked.question.command ?? [], signal);
            return exitCode === 0 ? yes(Buffer.from(output).toString()) : no(`ended with code ${exitCode}`);
          } catch (error) {
            signal.throwIfAborted();
            return Object(error).reason === 'member_stopped' ? no('does not run') : unknown(messageOf(error));
          }
        }),
      );
    },
    async *logs({ member, isFollowing, tail, ...ref }, signal) {
      const { docker, services } = await managing(signal, askMs, async (docker) => ({
        docker,
        services: (await look(scope, docker, ref.cluster, ref.incarnation)).services,
      }));
      const options = { stdout: true, stderr: true, timestamps: true, tail };
      const wanted = services.filter(({ Spec }) => member === '' || readMarks(Spec?.Labels)?.member === member);
      const sources = wanted.map(async function* ({ ID, Spec }) {
        const answer = (await docker.getService(ID).logs({ ...options, follow: isFollowing } as never)) as unknown;
        const chunks = Buffer.isBuffer(answer) ? [answer] : (answer as Readable);
        const cut = (): void => void (chunks instanceof Readable && chunks.destroy());
        signal.addEventListener('abort', cut);
        try {
          yield* logLines(readMarks(Spec?.Labels)?.member ?? '', Readable.from(chunks));
        } finally {
          signal.removeEventListener('abort', cut);
          cut();
        }
      });
      try {
        yield* merged(sources);
      } catch (error) {
        if (!signal.aborted) throw engineFault(error);
      }
    },
    async *use(ref, isFollowing, signal) {
      do {
        const used = await asking(signal, askMs, async (patience) =>
          Promise.all(
            (await nodes.all(patience)).map(async ({ docker }) => {
              const running = await docker.listContainers({ filters: filterOf(scope, ref.cluster, ref.incarnation) });
              return await Promise.all(
                running.map(
                  async ({ Id, Labels }): Promise<MemberUse | undefined> =>
                    useOf(readMarks(Labels)?.member ?? '', await docker.getContainer(Id).stats({ stream: false })),
                ),
              );
            }),
          ),
        );
        yield used.flat().filter((one) => one !== undefined);
      } while (isFollowing && !signal.aborted);
    },
    exec: (ref, member, command, signal) =>
      managing(
        signal,
        changeMs,
        async (docker, patience): Promise<Executed> => execute(await containerOf(docker, ref, member), command, patience),
      ),
    async *saveVolume(ref, member, volume, signal) {
      yield* saveEngineVolume(await found(ref, member, volume, signal), signal);
    },
    loadVolume: async (ref, member, volume, archive, signal) =>
      loadEngineVolume(await found(ref, member, volume, signal), archive, signal),
    async *watch(signal) {
      const all = await asking(signal, askMs, (patience) => nodes.all(patience));
      try {
        yield* merged(all.map(({ docker }) => watchEvents(docker, filterOf(scope), signal)));
      } catch (error) {
        if (!signal.aborted) throw engineFault(error);
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
