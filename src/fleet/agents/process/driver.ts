import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { cpus, totalmem } from 'node:os';
import { Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { createBell } from '#lib/bell.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import { isSystemError } from '#lib/system-error.ts';
import { memberDigest } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef, Driver, Executed, MemberUse, SeenMember } from '../../driver/driver.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import type { Cgroups } from './cgroups.ts';
import { findProgram } from './find-program.ts';
import { followLog } from './follow-log.ts';
import { MemberFolders, type MemberPlace } from './member-folder.ts';
import { createMembers, isAlive, markOfGroup } from './members.ts';
import { bootId, markedProcesses, markName, type RunningProcess } from './processes.ts';
import { loadVolume, saveVolume } from './volumes.ts';

export interface ProcessDriverOptions {
  /** Where members live; ours alone. */
  readonly folder: string;
  /** Of the host and the fleet; part of every mark. */
  readonly host: string;
  readonly fleet: string;
  readonly cgroups: Cgroups;
  readonly log: Log;
  readonly now: () => number;
}

/** How often members that are not children of ours are looked at. */
const watchMs = 1000;
const useMs = 1000;
const outputSizeBytesMax = 1024 * 1024;
const ticksPerSecond = 100;
/**
 * Clusters as local processes.
 *
 * Each member is a process group of its own with its output in a file, so that it goes on when Cellar ends, however it ends, and is found
 * again by number and start time. All that a member starts carries its mark in the environment, and is in its control group where there are
 * any: stopping it finds those that have left the process group as well.
 */
export function createProcessDriver({ folder, host, fleet, cgroups, log, now }: ProcessDriverOptions): Driver {
  const folders = new MemberFolders(folder);
  const locks = createKeyedLock();
  const changed = new Map<symbol, (cluster: string) => void>();
  const fleetMark = `${fleet}/${host}/`;
  const clusterMark = ({ cluster, incarnation }: ClusterRef): string => `${fleetMark}${cluster}/${incarnation}/`;
  const markOf = (place: MemberPlace): string => clusterMark(place) + place.member;

  const members = createMembers({
    ...{ folders, cgroups, markOf, now },
    onExit: (cluster) => {
      for (const tell of changed.values()) tell(cluster);
    },
  });

  /** What runs and carries our mark, without any folder that knows of it. */
  async function strays(known: ReadonlySet<string>): Promise<readonly SeenMember[]> {
    const found = new Map<string, SeenMember>();
    const marks = (await markedProcesses(fleetMark)).map(({ mark }) => mark);
    // Those that have changed their mark are still in their group.
    for (const group of await cgroups.names())
      if (markOfGroup(group).startsWith(fleetMark) && (await cgroups.processes(group)).length > 0) marks.push(markOfGroup(group));
    for (const mark of marks) {
      const [cluster = '', incarnation = '', member = ''] = mark.slice(fleetMark.length).split('/');
      if (known.has(mark) || cluster === '') continue;
      const base = { cluster, incarnation: Number(incarnation), member, restarts: 0, startedMs: 0, digest: '' };
      found.set(mark, { ...base, state: 'running', message: 'its folder is gone' });
    }
    return [...found.values()];
  }

  async function placeOf(ref: ClusterRef, member: string): Promise<MemberPlace> {
    const place = { ...ref, member };
    if (await folders.record(place)) return place;
    throw notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });
  }

  /** Errors: `disk_full` for what the disk has no room for. */
  async function onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isSystemError(error, 'ENOSPC', 'EDQUOT')) throw error;
      throw failedPrecondition(`The disk that local members live on is full`, {
        reason: 'disk_full',
        hint: `Make room below "${folder}", or use another host.`,
        cause: error,
      });
    }
  }

  return {
    probe: async () => ({
      ...{ type: 'process', version: `local processes on ${process.platform}`, identity: `process:${await bootId()}:${folder}` },
      ...{
        cores: cpus().length,
        memoryBytes: totalmem(),
        abilities: cgroups.hasLimits ? ['exec', 'stats', 'limits', 'snapshot'] : ['exec', 'stats', 'snapshot'],
      },
    }),
    async observe(cluster) {
      const boot = await bootId();
      const refs = (await folders.clusters()).filter((ref) => cluster === undefined || ref.cluster === cluster);
      const seen: SeenMember[] = [];
      const leftovers: { cluster: string; incarnation: number; kind: 'folder'; name: string }[] = [];
      const known = new Set<string>();
      for (const ref of refs) {
        const places = await folders.members(ref);
        // Without its record, or never started, a member is not whole: its making was cut off or refused.
        const whole: SeenMember[] = [];
        for (const place of places) {
          known.add(markOf(place));
          if ((await folders.record(place)) && (await folders.run(place))) whole.push(await members.look(place, boot));
        }
        seen.push(...whole);
        if (whole.length === 0) leftovers.push({ ...ref, kind: 'folder', name: `${ref.cluster}.${ref.incarnation}` });
      }
      const lost = (await strays(known)).filter((one) => cluster === undefined || one.cluster === cluster);
      return { members: [...seen, ...lost], leftovers };
    },
    // A caller that gave up may be back before what it had asked for has ended, so making and removing wait for each other.
    create: (ref, planned) =>
      locks.run(clusterMark(ref), async () => {
        for (const member of planned) {
          const place = { ...ref, member: member.name };
          await onDisk(() =>
            locks.run(markOf(place), async () => {
              if (!(await folders.record(place))) await folders.make(place, { digest: memberDigest(member), member });
              await members.run(place, member);
            }),
          );
        }
      }),
    async start(ref, names) {
      for (const name of names) {
        const place = await placeOf(ref, name);
        const record = await folders.record(place);
        if (record) await onDisk(() => locks.run(markOf(place), () => members.run(place, record.member)));
      }
    },
    async stop(ref, names) {
      for (const member of names) {
        const place = { ...ref, member };
        await locks.run(markOf(place), () => members.end(place));
      }
    },
    remove: (ref) =>
      locks.run(clusterMark(ref), async () => {
        const places = await folders.members(ref);
        await Promise.all(places.map((place) => locks.run(markOf(place), () => members.end(place))));
        const known = new Set(places.map(markOf));
        for (const { member, ...found } of await strays(known))
          if (clusterMark(found) === clusterMark(ref)) await members.end({ ...ref, member });
        return places.length + ((await folders.remove(ref)) ? 1 : 0);
      }),
    async freePorts(ports) {
      const free = await Promise.all(ports.map(isFreePort));
      return ports.filter((_, at) => free[at]);
    },
    ask: (ref, questions, signal) =>
      Promise.all(
        questions.map(async (asked) => {
          const answer = await askNetwork(
            asked,
            ({ ports }, port) =>
              ports[port] && ports[port].host > 0 ? { host: '127.0.0.1', port: ports[port].host } : undefined,
            signal,
          );
          if (answer) return answer;
          try {
            const { exitCode, output } = await execute(await placeOf(ref, asked.member), asked.question.command ?? [], signal);
            return exitCode === 0 ? yes(Buffer.from(output).toString()) : no(`ended with code ${exitCode}`);
          } catch (error) {
            signal.throwIfAborted();
            return unknown(Fault.from(error).message);
          }
        }),
      ),
    async *logs({ member, isFollowing, tail, ...ref }, signal) {
      const places = (await folders.members(ref)).filter((place) => member === '' || place.member === member);
      yield* followLog(
        places.map((place) => ({ member: place.member, path: folders.log(place) })),
        { tail, isFollowing },
        signal,
      );
    },
    async *use(ref, isFollowing, signal) {
      const ticksOf = (processes: readonly RunningProcess[]) =>
        new Map(processes.map(({ pid, startTicks, cpuTicks }) => [`${pid}/${startTicks}`, cpuTicks]));
      let before = ticksOf(await markedProcesses(clusterMark(ref)));
      let beforeMs = performance.now();
      do {
        await rest(useMs, signal);
        const found = await markedProcesses(clusterMark(ref));
        const nowMs = performance.now();
        const byMember = new Map<string, MemberUse>();
        for (const { pid, startTicks, mark, memoryBytes, cpuTicks } of found) {
          const member = mark.slice(clusterMark(ref).length);
          // The shell that keeps it is ours.
          if ((await folders.run({ ...ref, member }))?.pid === pid) continue;
          const known = byMember.get(member) ?? { member, memoryBytes: 0, cpuPercent: 0, processes: 0 };
          const used = Math.max(0, cpuTicks - (before.get(`${pid}/${startTicks}`) ?? cpuTicks));
          const cpuPercent = known.cpuPercent + (used / ticksPerSecond / ((nowMs - beforeMs) / 1000)) * 100;
          byMember.set(member, {
            member,
            memoryBytes: known.memoryBytes + memoryBytes,
            cpuPercent,
            processes: known.processes + 1,
          });
        }
        yield [...byMember.values()];
        before = ticksOf(found);
        beforeMs = nowMs;
      } while (isFollowing && !signal.aborted);
    },
    exec: async (ref, member, command, signal) => execute(await placeOf(ref, member), command, signal),
    async *saveVolume(ref, member, volume, signal) {
      yield* saveVolume(folders, await placeOf(ref, member), volume, signal);
    },
    async loadVolume(ref, member, volume, archive, signal) {
      const place = await placeOf(ref, member);
      await locks.run(markOf(place), async () => {
        const { state } = await members.look(place, await bootId());
        if (state !== 'exited')
          throw failedPrecondition(`Member "${member}" runs, so its volume cannot be replaced`, { reason: 'member_running' });
        await loadVolume(folders, place, volume, archive, signal);
      });
    },
    async *watch(signal) {
      const bell = createBell();
      const names = new Set<string>();
      const id = Symbol('watcher');
      changed.set(id, (cluster) => {
        names.add(cluster);
        bell.ring();
      });
      let before = new Map<string, boolean>();
      try {
        while (!signal.aborted) {
          const boot = await bootId();
          const after = new Map<string, boolean>();
          // Members that an earlier process has started are no children of ours, so nobody tells when they end.
          for (const ref of await folders.clusters()) {
            for (const place of await folders.members(ref)) {
              const last = await folders.run(place);
              const alive = last !== undefined && (await isAlive(last, boot));
              after.set(markOf(place), alive);
              if (before.get(markOf(place)) === !alive) names.add(ref.cluster);
            }
          }
          before = after;
          yield* names;
          names.clear();
          await bell.wait(watchMs, signal);
        }
      } finally {
        changed.delete(id);
      }
    },
    /** Members go on: they belong to the fleet, not to this process. */
    [Symbol.asyncDispose]: async () => log.debug('local members go on without their agent', { host }),
  };

  /** In the member's folder and environment. Errors: `program_missing`. */
  async function execute(place: MemberPlace, command: readonly string[], signal: AbortSignal): Promise<Executed> {
    const record = await folders.record(place);
    const [first = '', ...rest] = command;
    const program = await findProgram([first]);
    const env = {
      PATH: process.env['PATH'],
      HOME: folders.root(place),
      ...record?.member.environment,
      [markName]: markOf(place),
    };
    const child = spawn(program, rest, {
      cwd: folders.root(place),
      env,
      signal,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [output, errors, exitCode] = await Promise.all([
      collect(child.stdout),
      collect(child.stderr),
      new Promise<number>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code) => resolve(code ?? -1));
      }),
    ]);
    return { exitCode, output, errors };
  }
}

/** The last of what comes, up to a limit. */
async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let kept = Buffer.alloc(0);
  for await (const chunk of stream) kept = Buffer.concat([kept, chunk]).subarray(-outputSizeBytesMax);
  return kept;
}

function isFreePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
