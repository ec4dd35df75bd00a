import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Code, Fault } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { SeenMember } from '../../driver/driver.ts';
import type { Cgroups } from './cgroups.ts';
import { findProgram } from './find-program.ts';
import type { MemberFolders, MemberPlace, Run } from './member-folder.ts';
import { bootId, findProcess, markedProcesses, markName } from './processes.ts';

export interface MembersParts {
  readonly folders: MemberFolders;
  readonly cgroups: Cgroups;
  /** What stands in the environment of all that a member starts. */
  readonly markOf: (place: MemberPlace) => string;
  readonly now: () => number;
  /** A child of ours has ended. */
  readonly onExit: (cluster: string) => void;
}

/** Single local members: started, seen, and ended with all they have started. */
export interface Members {
  look(place: MemberPlace, boot: string): Promise<SeenMember>;
  /** Starts a member unless it runs; what an earlier run has left behind is ended before. Errors: `program_missing`. */
  run(place: MemberPlace, member: PlannedMember): Promise<void>;
  /** Asks a member to end, waits, and ends by force what is left. Errors: `deadline_exceeded` when even that does not help. */
  end(place: MemberPlace): Promise<void>;
}

/** How often is looked whether what was told to end has ended. */
const endedMs = 25;
/** How long to wait after force before it is a fault. */
const killMs = 10_000;
const mebibyte = 1024 * 1024;
/**
 * Keeps how the member ended, for whoever looks later: the shell outlives it, and whoever had started it may be gone by then. The shell itself
 * stays out of the member's groups, since it needs to live when these are full. Where there are none, memory is limited for each process alone,
 * and to twice as much, since threads are promised more than they use.
 */
const keeper = `trap : TERM INT HUP QUIT
(for group in $CELLAR_JOIN; do echo 0 >"$group" || exit 126; done
[ -z "$CELLAR_DATA_KIB" ] || ulimit -d "$CELLAR_DATA_KIB"
unset CELLAR_JOIN CELLAR_DATA_KIB
exec "$@")
code=$?; echo $code > ../exit.tmp; mv ../exit.tmp ../exit`;

export function createMembers({ folders, cgroups, markOf, now, onExit }: MembersParts): Members {
  /** By their mark, and by the member's group, which finds those that have changed it. */
  async function processesOf(place: MemberPlace): Promise<readonly number[]> {
    const mark = markOf(place);
    const marked = (await markedProcesses(mark)).filter((one) => one.mark === mark).map(({ pid }) => pid);
    const grouped = await cgroups.processes(groupOf(mark));
    const found = await Promise.all(grouped.filter((pid) => !marked.includes(pid)).map(findProcess));
    return [...marked, ...found.flatMap((one) => (one ? [one.pid] : []))];
  }

  async function endAll(place: MemberPlace, patienceMs: number): Promise<void> {
    const startMs = performance.now();
    for (;;) {
      const left = await processesOf(place);
      if (left.length === 0) return await cgroups.remove(groupOf(markOf(place)));
      const waitedMs = performance.now() - startMs;
      if (waitedMs > patienceMs + killMs) {
        throw new Fault(Code.DeadlineExceeded, `Member "${place.member}" of cluster "${place.cluster}" cannot be ended`, {
          reason: 'process_stuck',
          hint: `Look at process ${left[0]}: it may wait for a disk.`,
        });
      }
      if (waitedMs >= patienceMs) {
        await cgroups.kill(groupOf(markOf(place)));
        for (const pid of left) send(pid, 'SIGKILL');
      }
      await rest(endedMs, AbortSignal.any([]));
    }
  }

  async function end(place: MemberPlace): Promise<void> {
    const record = await folders.record(place);
    const signal = (record?.member.stopSignal ?? 'SIGTERM') as NodeJS.Signals;
    const last = await folders.run(place);
    const left = await processesOf(place);
    if (last && (await isAlive(last, await bootId()))) send(-last.pid, signal);
    // Whoever kept it is gone, and it works on: it may hold data that wants to be written.
    else for (const pid of left) send(pid, signal);
    await endAll(place, record?.member.stopTimeoutMs ?? 0);
  }

  async function howEnded(place: MemberPlace, last: Run | undefined, memoryBytesMax: number): Promise<string> {
    if (!last) return 'was never started';
    if ((await cgroups.memoryKills(groupOf(markOf(place)))) > 0)
      return `was ended for using more than its ${Math.ceil(memoryBytesMax / mebibyte)} MiB of memory`;
    const exitCode = await folders.exitCode(place);
    return exitCode === undefined ? 'was ended by force' : `ended with code ${exitCode}`;
  }

  return {
    end,
    async look(place, boot) {
      const { cluster, incarnation, member } = place;
      const [record, last] = [await folders.record(place), await folders.run(place)];
      const seen = {
        ...{ cluster, incarnation, member },
        digest: record?.digest ?? '',
        restarts: last?.restarts ?? 0,
        startedMs: last?.startedMs ?? 0,
      };
      if (last && (await isAlive(last, boot))) {
        await folders.trimLog(place);
        return { ...seen, state: 'running', message: '' };
      }
      const exitCode = await folders.exitCode(place);
      const line = await folders.lastLine(place);
      const how = await howEnded(place, last, record?.member.memoryBytesMax ?? 0);
      const message = line === '' ? how : `${how}: ${line}`;
      return { ...seen, state: 'exited', message, ...(exitCode === undefined ? {} : { exitCode }) };
    },
    async run(place, member) {
      const boot = await bootId();
      const before = await folders.run(place);
      if (before && (await isAlive(before, boot))) return;
      // What an earlier run has left behind would hold its ports and locks.
      await end(place);
      const [first = '', ...words] = member.command;
      const program = await findProgram(member.programs.length > 0 ? member.programs : [first]);
      await rm(folders.exit(place), { force: true });
      const groups = await cgroups.make(groupOf(markOf(place)), member);
      const isUnlimited = cgroups.hasLimits || member.memoryBytesMax === 0;
      const output = openSync(folders.log(place), 'a', 0o600);
      try {
        const child = spawn('/bin/sh', ['-c', keeper, 'sh', program, ...words], {
          cwd: folders.root(place),
          detached: true,
          stdio: ['ignore', output, output],
          env: {
            PATH: process.env['PATH'],
            HOME: folders.root(place),
            LANG: 'C.UTF-8',
            ...member.environment,
            CELLAR_JOIN: groups.join(' '),
            CELLAR_DATA_KIB: isUnlimited ? '' : String(Math.ceil((member.memoryBytesMax * 2) / 1024)),
            [markName]: markOf(place),
          },
        });
        await new Promise<void>((resolve, reject) => {
          child.once('spawn', resolve);
          child.once('error', reject);
        });
        child.once('exit', () => onExit(place.cluster));
        child.unref();
        const pid = child.pid ?? 0;
        const started = await findProcess(pid);
        const restarts = before ? before.restarts + 1 : 0;
        await folders.noteRun(place, { pid, startTicks: started?.startTicks ?? '', bootId: boot, startedMs: now(), restarts });
      } catch (error) {
        // Nobody would know what it is, such as when the disk is full.
        await end(place);
        throw error;
      } finally {
        closeSync(output);
      }
    },
  };
}

/** Name of a member's control group: its mark, with nothing that is special in paths. */
export const groupOf = (mark: string): string => mark.replaceAll('/', '~');
export const markOfGroup = (group: string): string => group.replaceAll('~', '/');

export async function isAlive({ pid, startTicks, bootId: boot }: Run, now: string): Promise<boolean> {
  return boot === now && pid > 0 && (await findProcess(pid))?.startTicks === startTicks;
}

/** To a process, or with a minus to its group. One that is gone has nothing to be told. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
  }
}
