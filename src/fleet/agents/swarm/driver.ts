import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef, Driver, Executed, Leftover, MemberUse } from '../../driver/driver.ts';
import { asking, type Engine, engineFault, isConflict, isGone, messageOf } from '../docker-engine/connect.ts';
import { execute } from '../docker-engine/execute.ts';
import { logLines } from '../docker-engine/log-lines.ts';
import { useOf } from '../docker-engine/use-of.ts';
import { watchEvents } from '../docker-engine/watch-events.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import { labelFilter, labelsOf, readMarks } from '../logic/marks.ts';
import { merged } from '../logic/merged.ts';
import { noVolumes } from '../logic/no-volumes.ts';
import { SwarmNodes } from './nodes.ts';
import { type NodeView, newest, readService, type ServiceView, type TaskView } from './read-service.ts';
import { type KeptFile, nodeLabel, serviceSpec, swarmName } from './service-spec.ts';

export interface SwarmDriverOptions {
  /** Of the nodes that members may live on; a manager at least. */
  readonly engines: readonly Engine[];
  readonly host: string;
  readonly fleet: string;
}

const askMs = 30_000;
const nodeMs = 5_000;
const changeMs = 110_000;
/** How often is looked whether something has happened that the swarm tells nobody of. */
const soonMs = 100;
/** Of a program that was ended by SIGKILL. */
const killedCode = 137;

interface Scene {
  readonly services: readonly ServiceView[];
  readonly tasksOf: (service: ServiceView) => readonly TaskView[];
  readonly nodes: readonly NodeView[];
}

/** Clusters as services of a swarm: an overlay network for each incarnation, a service for each member. */
export function createSwarmDriver({ engines, host, fleet }: SwarmDriverOptions): Driver {
  const nodes = new SwarmNodes(engines, nodeMs);
  const locks = createKeyedLock();
  const lockOf = ({ cluster, incarnation }: ClusterRef): string => `${cluster}/${incarnation}`;
  const ownerOf = (ref: ClusterRef) => ({ fleet, host, cluster: ref.cluster, incarnation: ref.incarnation });
  const filter = (cluster?: string, incarnation?: number) => labelFilter(fleet, host, cluster, incarnation);
  const marksOf = (ref: ClusterRef, member = '') => labelsOf(fleet, host, { ...ref, member, digest: '' });
  const addressOf = (node: string): string => nodes.known.find(({ id }) => id === node)?.address ?? '';
  const managing = <T>(
    signal: AbortSignal,
    timeoutMs: number,
    task: (docker: Docker, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => asking(signal, timeoutMs, async (patience) => await task((await nodes.manager(patience)).docker, patience));
  const missing = (ref: ClusterRef, member: string): Error =>
    notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });

  async function look(docker: Docker, cluster?: string, incarnation?: number): Promise<Scene> {
    const [services, tasks, all] = await Promise.all([
      docker.listServices({ filters: filter(cluster, incarnation) }) as Promise<readonly ServiceView[]>,
      docker.listTasks() as Promise<readonly TaskView[]>,
      docker.listNodes() as Promise<readonly NodeView[]>,
    ]);
    const byService = Map.groupBy(tasks, ({ ServiceID }) => ServiceID);
    return { services, nodes: all, tasksOf: ({ ID }) => byService.get(ID) ?? [] };
  }

  /** Where a member's only task runs. Errors: `member_missing`, `member_stopped`, `member_unreachable`. */
  async function containerOf(docker: Docker, ref: ClusterRef, member: string): Promise<Docker.Container> {
    const { services, tasksOf } = await look(docker, ref.cluster, ref.incarnation);
    const service = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
    if (!service) throw missing(ref, member);
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

  async function ensureNetwork(docker: Docker, ref: ClusterRef): Promise<string> {
    const Name = swarmName(ownerOf(ref));
    const find = async () =>
      (await docker.listNetworks({ filters: filter(ref.cluster, ref.incarnation) })).find((one) => one.Name === Name)?.Id;
    const found = await find();
    if (found) return found;
    try {
      await docker.createNetwork({ Name, Driver: 'overlay', Labels: marksOf(ref), CheckDuplicate: true });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    return (await find()) ?? Name;
  }

  async function ensureFiles(docker: Docker, ref: ClusterRef, { name, files }: PlannedMember): Promise<readonly KeptFile[]> {
    const kept: KeptFile[] = [];
    for (const { path, text, secret: isSecret = false, executable: isExecutable = false } of files) {
      const Name = swarmName(ownerOf(ref), name, path);
      const data = { Name, Labels: marksOf(ref, name), Data: Buffer.from(text).toString('base64') };
      const find = async () => {
        const filters = { ...filter(ref.cluster, ref.incarnation), name: [Name] };
        const [found] = await (isSecret ? docker.listSecrets({ filters }) : docker.listConfigs({ filters }));
        return (found as { readonly ID?: string } | undefined)?.ID;
      };
      let id = await find();
      if (!id) {
        try {
          await (isSecret ? docker.createSecret(data) : docker.createConfig(data));
        } catch (error) {
          if (!isConflict(error)) throw error;
        }
        id = await find();
      }
      kept.push({ id: id ?? '', name: Name, path, isSecret, isExecutable });
    }
    return kept;
  }

  /** The ready node of ours with fewest members of this cluster, and of all. Errors: `resource_exhausted`-like `no_node`. */
  function chooseNode(scene: Scene, all: readonly ServiceView[], placed: ReadonlyMap<string, number>): string {
    const ours = new Set(nodes.known.map(({ id }) => id));
    const fit = scene.nodes.filter(
      ({ ID, Spec, Status }) => ours.has(ID) && Status?.State === 'ready' && (Spec?.Availability ?? 'active') === 'active',
    );
    const load = (id: string): number => all.filter(({ Spec }) => Spec?.Labels?.[nodeLabel] === id).length;
    const [best] = fit
      .map(({ ID }) => ({ id: ID, own: placed.get(ID) ?? 0, all: load(ID) }))
      .sort((one, other) => one.own - other.own || one.all - other.all || (one.id < other.id ? -1 : 1));
    if (best) return best.id;
    throw failedPrecondition('No node of the swarm takes members: none of this host is ready and active', { reason: 'no_node' });
  }

  async function create(docker: Docker, ref: ClusterRef, members: readonly PlannedMember[], signal: AbortSignal): Promise<void> {
    await nodes.all(signal);
    const network = await ensureNetwork(docker, ref);
    const scene = await look(docker, ref.cluster, ref.incarnation);
    const all = (await docker.listServices({ filters: labelFilter(fleet, host) })) as readonly ServiceView[];
    const placed = new Map<string, number>();
    const place = (node: string): void => void placed.set(node, (placed.get(node) ?? 0) + 1);
    for (const { Spec } of scene.services) place(Spec?.Labels?.[nodeLabel] ?? '');
    for (const member of members) {
      const there = scene.services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member.name);
      if (there) {
        await begin(docker, ref, member.name);
        continue;
      }
      if (member.image === '') {
        throw failedPrecondition('A member has no image, so it cannot run in a container', { reason: 'image_missing' });
      }
      const files = await ensureFiles(docker, ref, member);
      const node = chooseNode(scene, all, placed);
      try {
        await docker.createService(serviceSpec(ownerOf(ref), member, { node, network, files }));
        place(node);
      } catch (error) {
        // 409: somebody else was faster.
        if (!isConflict(error)) throw portTaken(error) ?? error;
      }
    }
    await assertImages(docker, ref, members, signal);
  }

  /** A task whose image there is not is refused a moment later, and nobody else would tell why. */
  async function assertImages(
    docker: Docker,
    ref: ClusterRef,
    members: readonly PlannedMember[],
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = new Set(members.map(({ name }) => name));
    for (;;) {
      const { services, tasksOf } = await look(docker, ref.cluster, ref.incarnation);
      const tasks = services
        .filter(({ Spec }) => wanted.has(readMarks(Spec?.Labels)?.member ?? ''))
        .map((service) => newest(tasksOf(service)));
      const refused = tasks.find((task) => task?.Status.State === 'rejected');
      if (refused) {
        throw failedPrecondition(`The swarm cannot run a member: ${refused.Status.Err ?? 'it was rejected'}`, {
          reason: /no such image/i.test(refused.Status.Err ?? '') ? 'image_missing' : 'member_rejected',
          hint: 'Load the image on every node, or name another with the blueprint\'s parameter "image".',
        });
      }
      const early: ReadonlySet<string> = new Set(['new', 'pending', 'assigned', 'accepted', 'preparing', 'ready', 'starting']);
      if (!tasks.some((task) => !task || early.has(task.Status.State))) return;
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
  }

  /** Wants a task of a member's service, a new one when the last has ended. */
  async function begin(docker: Docker, ref: ClusterRef, member: string): Promise<void> {
    await update(docker, ref, member, (tasks) => {
      const task = newest(tasks);
      const isUp =
        task !== undefined && task.DesiredState === 'running' && !/complete|failed|shutdown|rejected/.test(task.Status.State);
      return isUp ? undefined : 1;
    });
  }

  /** `wanted` says how many tasks there are to be now; `undefined`: as it is. */
  async function update(
    docker: Docker,
    ref: ClusterRef,
    member: string,
    wanted: (tasks: readonly TaskView[]) => number | undefined,
  ): Promise<void> {
    for (;;) {
      const { services, tasksOf } = await look(docker, ref.cluster, ref.incarnation);
      const found = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
      if (!found) throw missing(ref, member);
      const replicas = wanted(tasksOf(found));
      if (replicas === undefined) return;
      const service = docker.getService(found.ID);
      const { Spec, Version } = await service.inspect();
      const template = Spec.TaskTemplate as { ForceUpdate?: number };
      const TaskTemplate = { ...template, ForceUpdate: (template.ForceUpdate ?? 0) + replicas };
      try {
        await service.update({ ...Spec, TaskTemplate, Mode: { Replicated: { Replicas: replicas } }, version: Version.Index });
        return;
      } catch (error) {
        // Somebody else changed it meanwhile, or the swarm itself did.
        if (!/update out of sequence/i.test(messageOf(error))) throw error;
      }
    }
  }

  async function stop(docker: Docker, ref: ClusterRef, member: string, signal: AbortSignal): Promise<void> {
    try {
      await update(docker, ref, member, () => 0);
    } catch (error) {
      if (Object(error).reason === 'member_missing') return;
      throw error;
    }
    for (;;) {
      const { services, tasksOf, nodes: all } = await look(docker, ref.cluster, ref.incarnation);
      const service = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
      const seen = service && readService(service, tasksOf(service), all, addressOf);
      if (!seen || seen.state === 'exited' || seen.state === 'unknown') return;
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
  }

  async function remove(docker: Docker, ref: ClusterRef, signal: AbortSignal): Promise<number> {
    /** What is still used by a task on its way out is tried again. */
    const gone = async (removal: () => Promise<unknown>): Promise<number> => {
      for (;;) {
        try {
          await removal();
          return 1;
        } catch (error) {
          if (isGone(error)) return 0;
          if (!/in use|has active endpoints|is being used/i.test(messageOf(error))) throw error;
        }
        await rest(soonMs, signal);
        signal.throwIfAborted();
      }
    };
    const filters = filter(ref.cluster, ref.incarnation);
    let count = 0;
    for (const { ID } of await docker.listServices({ filters })) count += await gone(() => docker.getService(ID).remove());
    for (;;) {
      const networks = await docker.listNetworks({ filters });
      if (networks.length === 0) break;
      for (const { Id } of networks) count += await gone(() => docker.getNetwork(Id).remove());
      // It goes from node to node.
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
    for (const { ID } of await docker.listConfigs({ filters })) count += await gone(() => docker.getConfig(ID).remove());
    for (const { ID } of await docker.listSecrets({ filters })) count += await gone(() => docker.getSecret(ID).remove());
    for (const node of await nodes.all(signal)) {
      // Containers outlive their service for as long as they may take to end.
      for (const { Id } of await node.docker.listContainers({ all: true, filters }))
        await gone(() => node.docker.getContainer(Id).remove({ force: true }).catch(ifRemoving));
      const { Volumes } = await node.docker.listVolumes({ filters });
      for (const { Name } of Volumes ?? []) count += await gone(() => node.docker.getVolume(Name).remove());
    }
    return count;
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

  async function leftovers(
    docker: Docker,
    cluster: string | undefined,
    whole: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly Leftover[]> {
    const filters = filter(cluster);
    const all: [kind: Leftover['kind'], name: string, labels: Record<string, string> | undefined][] = [];
    for (const { Name, Labels } of await docker.listNetworks({ filters })) all.push(['network', Name, Labels]);
    for (const { Spec } of await docker.listConfigs({ filters })) all.push(['secret', Spec?.Name ?? '', Spec?.Labels]);
    for (const { Spec } of await docker.listSecrets({ filters })) all.push(['secret', Spec?.Name ?? '', Spec?.Labels]);
    for (const node of await nodes.all(signal)) {
      const { Volumes } = await node.docker.listVolumes({ filters });
      for (const { Name, Labels } of Volumes ?? []) all.push(['volume', Name, Labels]);
    }
    return all.flatMap(([kind, name, labels]) => {
      const marks = readMarks(labels);
      if (!marks || whole.has(`${marks.cluster}/${marks.incarnation}`)) return [];
      return [{ kind, name, cluster: marks.cluster, incarnation: marks.incarnation }];
    });
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
          abilities: ['exec', 'stats', 'limits'],
        };
      }),
    observe: (cluster, signal) =>
      managing(signal, askMs, async (docker, patience) => {
        const { services, tasksOf, nodes: all } = await look(docker, cluster);
        const seen = services.map(async (service) => {
          const member = readService(service, tasksOf(service), all, addressOf);
          return member?.exitCode === killedCode ? { ...member, ...(await whyKilled(newest(tasksOf(service)))) } : member;
        });
        const members = (await Promise.all(seen)).filter((member) => member !== undefined);
        const whole = new Set(members.map((member) => `${member.cluster}/${member.incarnation}`));
        return { members, leftovers: await leftovers(docker, cluster, whole, patience) };
      }),
    create: (ref, members, _labels, signal) =>
      managing(signal, changeMs, (docker, patience) => locks.run(lockOf(ref), () => create(docker, ref, members, patience))),
    start: (ref, members, signal) =>
      managing(signal, askMs, async (docker) => {
        for (const member of members) await begin(docker, ref, member);
      }),
    stop: (ref, members, signal) =>
      managing(signal, changeMs, async (docker, patience) => {
        for (const member of members) await stop(docker, ref, member, patience);
      }),
    remove: (ref, signal) =>
      managing(signal, changeMs, (docker, patience) => locks.run(lockOf(ref), () => remove(docker, ref, patience))),
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
        services: (await look(docker, ref.cluster, ref.incarnation)).services,
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
              const running = await docker.listContainers({ filters: filter(ref.cluster, ref.incarnation) });
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
    ...noVolumes('swarm'),
    async *watch(signal) {
      const all = await asking(signal, askMs, (patience) => nodes.all(patience));
      try {
        yield* merged(all.map(({ docker }) => watchEvents(docker, filter(), signal)));
      } catch (error) {
        if (!signal.aborted) throw engineFault(error);
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Somebody else, such as the swarm itself, is removing it. */
const ifRemoving = (error: unknown): void => {
  if (!isConflict(error) && !isGone(error)) throw error;
};

function portTaken(error: unknown): Error | undefined {
  const message = messageOf(error);
  if (!/port .* is already in use/i.test(message)) return undefined;
  return failedPrecondition(`A port is taken in the swarm: ${message}`, { reason: 'port_taken', cause: error });
}
