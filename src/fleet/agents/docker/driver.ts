import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef, Driver, Leftover, MemberUse, SeenMember } from '../../driver/driver.ts';
import { believe } from '../docker-engine/believe.ts';
import { asking, type Engine, engineFault, isConflict, isGone, isSoAlready } from '../docker-engine/connect.ts';
import { execute } from '../docker-engine/execute.ts';
import { logLines } from '../docker-engine/log-lines.ts';
import { ensureImage } from '../docker-engine/pull-image.ts';
import { putFiles } from '../docker-engine/put-files.ts';
import { useOf } from '../docker-engine/use-of.ts';
import { type EngineVolume, loadEngineVolume, saveEngineVolume } from '../docker-engine/volumes.ts';
import { watchEvents } from '../docker-engine/watch-events.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import { labelFilter, labelsOf, nameOf, readMarks, volumeName } from '../logic/marks.ts';
import { merged } from '../logic/merged.ts';
import { containerSpec } from './container-spec.ts';
import { readContainer } from './read-container.ts';

export interface DockerDriverOptions {
  readonly engine: Engine;
  /** Of the host and the fleet; part of every mark. */
  readonly host: string;
  readonly fleet: string;
}

const askMs = 30_000;
const makingMs = 50;
/** For getting images too. */
const createMs = 110_000;
/** What a container may need beyond its own time to end. */
const stopMs = 20_000;

/** Clusters as containers of one engine: a network for each incarnation, in which members are reached by their names. */
export function createDockerDriver({ engine, host, fleet }: DockerDriverOptions): Driver {
  const { docker, isLocal, machine } = engine;
  const locks = createKeyedLock();
  const own = { fleet, host, listen: isLocal ? '127.0.0.1' : '0.0.0.0' };
  const filter = (cluster?: string, incarnation?: number) => labelFilter(fleet, host, cluster, incarnation);
  const containerOf = (ref: ClusterRef, member: string) => docker.getContainer(nameOf(fleet, host, ref, member));
  const missing = (ref: ClusterRef, member: string): Error =>
    notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });
  const volumeOf = (ref: ClusterRef, member: string, volume: string): EngineVolume => ({
    ...{ docker, name: volumeName(fleet, host, ref, { name: member }, volume) },
    labels: labelsOf(fleet, host, { ...ref, member: '', digest: '' }),
  });
  const containers = (signal: AbortSignal, cluster?: string, incarnation?: number) =>
    docker.listContainers({ all: true, filters: filter(cluster, incarnation), abortSignal: signal });

  /** `undefined`: it is gone meanwhile, or not whole. */
  const look = async (id: string, signal: AbortSignal): Promise<SeenMember | undefined> => {
    try {
      const answer = await docker.getContainer(id).inspect({ abortSignal: signal });
      return readContainer(believe(answer, 'a container', 'Config', 'State'));
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  };

  async function ensureNetwork(ref: ClusterRef, signal: AbortSignal): Promise<void> {
    const Name = nameOf(fleet, host, ref);
    const Labels = labelsOf(fleet, host, { ...ref, member: '', digest: '' });
    const found = await docker.listNetworks({ filters: filter(ref.cluster, ref.incarnation), abortSignal: signal });
    // Engines allow two of one name, so it is looked for first.
    if (!found.some((network) => network.Name === Name)) await docker.createNetwork({ Name, Labels, CheckDuplicate: true });
  }

  async function ensureContainer(ref: ClusterRef, member: PlannedMember, signal: AbortSignal): Promise<void> {
    await ensureImage(docker, member.image, signal);
    const Labels = labelsOf(fleet, host, { ...ref, member: member.name, digest: '' });
    for (const { name } of member.volumes)
      await docker.createVolume({ Name: volumeName(fleet, host, ref, member, name), Labels, abortSignal: signal });
    const spec = containerSpec({ ...ref, ...own }, member);
    const container = docker.getContainer(spec.name);
    const state = await makeContainer(spec, signal);
    if (state.Running) return;
    // One that was never started may lack its files: its making may have been cut off.
    if (state.Status === 'created') await putFiles(docker, spec.name, member.files, signal);
    await startContainer(container, signal);
  }

  /** Makes a container, or finds the one that is there. */
  async function makeContainer(
    spec: ReturnType<typeof containerSpec>,
    signal: AbortSignal,
  ): Promise<Docker.ContainerInspectInfo['State']> {
    for (;;) {
      try {
        await docker.createContainer(spec);
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      try {
        return (await docker.getContainer(spec.name).inspect({ abortSignal: signal })).State;
      } catch (error) {
        // While another one makes it, the name is taken and nobody has it yet.
        if (!isGone(error)) throw error;
      }
      await rest(makingMs, signal);
      signal.throwIfAborted();
    }
  }

  async function startContainer(container: Docker.Container, signal: AbortSignal): Promise<void> {
    try {
      await container.start({ abortSignal: signal });
    } catch (error) {
      if (!isSoAlready(error)) throw error;
    }
  }

  async function removeAll(ref: ClusterRef, signal: AbortSignal): Promise<number> {
    const gone = async (removal: Promise<unknown>): Promise<number> => {
      try {
        await removal;
        return 1;
      } catch (error) {
        // 409: somebody else is removing it.
        if (isGone(error) || isConflict(error)) return 0;
        throw error;
      }
    };
    let count = 0;
    const found = await containers(signal, ref.cluster, ref.incarnation);
    for (const part of await Promise.all(found.map(({ Id }) => gone(docker.getContainer(Id).remove({ force: true, v: true })))))
      count += part;
    const networks = await docker.listNetworks({ filters: filter(ref.cluster, ref.incarnation), abortSignal: signal });
    for (const { Id } of networks) count += await gone(docker.getNetwork(Id).remove({ abortSignal: signal }));
    const { Volumes } = await docker.listVolumes({ filters: filter(ref.cluster, ref.incarnation), abortSignal: signal });
    for (const { Name } of Volumes ?? []) count += await gone(docker.getVolume(Name).remove({ abortSignal: signal }));
    return count;
  }

  async function leftovers(
    cluster: string | undefined,
    whole: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<readonly Leftover[]> {
    const all: { readonly kind: Leftover['kind']; readonly name: string; readonly labels: Record<string, string> | undefined }[] =
      [];
    for (const { Name, Labels } of await docker.listNetworks({ filters: filter(cluster), abortSignal: signal }))
      all.push({ kind: 'network', name: Name, labels: Labels });
    const { Volumes } = await docker.listVolumes({ filters: filter(cluster), abortSignal: signal });
    for (const { Name, Labels } of Volumes ?? []) all.push({ kind: 'volume', name: Name, labels: Labels });
    return all.flatMap(({ kind, name, labels }) => {
      const marks = readMarks(labels);
      if (!marks || whole.has(`${marks.cluster}/${marks.incarnation}`)) return [];
      return [{ kind, name, cluster: marks.cluster, incarnation: marks.incarnation }];
    });
  }

  return {
    probe: (signal) =>
      asking(signal, askMs, async () => {
        const [version, info] = await Promise.all([docker.version(), docker.info()]);
        if (typeof version?.ApiVersion !== 'string' || typeof info?.ID !== 'string' || info.OSType !== 'linux') {
          throw failedPrecondition('What answers at this address is no Docker engine that runs Linux containers', {
            reason: 'engine_unsuitable',
            hint: 'See that the address is right.',
          });
        }
        return {
          ...{ type: 'docker', version: `Docker ${version.Version}`, cores: info.NCPU, memoryBytes: info.MemTotal },
          // Copies of a machine have the same id.
          identity: `docker:${info.ID}:${info.Name}:${info.DockerRootDir}`,
          abilities: ['exec', 'stats', 'limits', 'pause', 'snapshot'],
        };
      }),
    observe: (cluster, signal) =>
      asking(signal, askMs, async (patience) => {
        const found = await containers(patience, cluster);
        const seen = await Promise.all(found.map(({ Id }) => look(Id, patience)));
        const members = seen.filter((one) => one !== undefined);
        const whole = new Set(members.map((member) => `${member.cluster}/${member.incarnation}`));
        return { members, leftovers: await leftovers(cluster, whole, patience) };
      }),
    create: (ref, members, _labels, signal) =>
      asking(signal, createMs, (patience) =>
        locks.run(nameOf(fleet, host, ref), async () => {
          await ensureNetwork(ref, patience);
          for (const member of members) await ensureContainer(ref, member, patience);
        }),
      ),
    start: (ref, members, signal) =>
      asking(signal, askMs, async (patience) => {
        for (const member of members) {
          try {
            await startContainer(containerOf(ref, member), patience);
          } catch (error) {
            throw isGone(error) ? missing(ref, member) : error;
          }
        }
      }),
    async stop(ref, members, signal) {
      for (const member of members) {
        const container = containerOf(ref, member);
        try {
          const { Config } = await asking(signal, askMs, (patience) =>
            container.inspect({ abortSignal: patience }).catch(goneAsNothing),
          );
          const stopTimeout = (Config as { StopTimeout?: number } | undefined)?.StopTimeout ?? 10;
          if (Config) await asking(signal, stopTimeout * 1000 + stopMs, (patience) => container.stop({ abortSignal: patience }));
        } catch (error) {
          const { cause } = Object(error) as { readonly cause?: unknown };
          if (!isSoAlready(cause) && !isGone(cause)) throw error;
        }
      }
    },
    remove: (ref, signal) =>
      asking(signal, createMs, (patience) => locks.run(nameOf(fleet, host, ref), () => removeAll(ref, patience))),
    async freePorts(ports, signal) {
      const all = await asking(signal, askMs, (patience) => docker.listContainers({ abortSignal: patience }));
      const taken = new Set(all.flatMap(({ Ports }) => Ports.map(({ PublicPort }) => PublicPort)));
      const left = ports.filter((port) => !taken.has(port));
      // What else listens on a machine elsewhere is found out when a container wants the port.
      if (!isLocal) return left;
      const free = await Promise.all(left.map((port) => isFreePort(port, own.listen)));
      return left.filter((_, at) => free[at]);
    },
    ask: (ref, questions, signal) =>
      Promise.all(
        questions.map(async (asked) => {
          const answer = await askNetwork(
            asked,
            ({ ports }, port) => (ports[port] && ports[port].host > 0 ? { host: machine, port: ports[port].host } : undefined),
            signal,
          );
          if (answer) return answer;
          try {
            const patience = AbortSignal.any([signal, AbortSignal.timeout(asked.question.timeoutMs ?? askMs)]);
            const { exitCode, output } = await execute(containerOf(ref, asked.member), asked.question.command ?? [], patience);
            return exitCode === 0 ? yes(Buffer.from(output).toString()) : no(`ended with code ${exitCode}`);
          } catch (error) {
            signal.throwIfAborted();
            // A container that does not run cannot be asked, and answers so.
            if (isConflict(error)) return no('does not run');
            return unknown(error instanceof Error ? error.message : String(error));
          }
        }),
      ),
    async *logs({ member, isFollowing, tail, ...ref }, signal) {
      const found = await asking(signal, askMs, (patience) => containers(patience, ref.cluster, ref.incarnation));
      const wanted = found.filter(({ Labels }) => member === '' || readMarks(Labels)?.member === member);
      const options = { stdout: true, stderr: true, timestamps: true, tail, abortSignal: signal };
      const sources = wanted.map(async function* ({ Id, Labels }) {
        const container = docker.getContainer(Id);
        // All at once comes as one buffer.
        const chunks = isFollowing
          ? ((await container.logs({ ...options, follow: true })) as Readable)
          : [await container.logs({ ...options, follow: false })];
        yield* logLines(readMarks(Labels)?.member ?? '', Readable.from(chunks));
      });
      try {
        yield* merged(sources);
      } catch (error) {
        if (!signal.aborted) throw engineFault(error);
      }
    },
    async *use(ref, isFollowing, signal) {
      do {
        const found = await asking(signal, askMs, (patience) => containers(patience, ref.cluster, ref.incarnation));
        const running = found.filter(({ State }) => State === 'running');
        const used = await asking(signal, askMs, () =>
          Promise.all(
            running.map(async ({ Id, Labels }): Promise<MemberUse | undefined> => {
              const stats = await docker.getContainer(Id).stats({ stream: false });
              return useOf(readMarks(Labels)?.member ?? '', stats);
            }),
          ),
        );
        yield used.filter((one) => one !== undefined);
      } while (isFollowing && !signal.aborted);
    },
    exec: (ref, member, command, signal) =>
      asking(signal, createMs, async (patience) => {
        try {
          return await execute(containerOf(ref, member), command, patience);
        } catch (error) {
          if (isGone(error)) throw missing(ref, member);
          if (isConflict(error)) {
            throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" does not run`, { reason: 'member_stopped' });
          }
          throw error;
        }
      }),
    saveVolume: (ref, member, volume, signal) => saveEngineVolume(volumeOf(ref, member, volume), signal),
    loadVolume: (ref, member, volume, archive, signal) => loadEngineVolume(volumeOf(ref, member, volume), archive, signal),
    async *watch(signal) {
      try {
        yield* watchEvents(docker, filter(), signal);
      } catch (error) {
        if (!signal.aborted) throw engineFault(error);
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const goneAsNothing = (error: unknown): { readonly Config: undefined } => {
  if (isGone(error)) return { Config: undefined };
  throw error;
};

function isFreePort(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
