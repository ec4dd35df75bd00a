import { readdir, readFile } from 'node:fs/promises';
import { isSystemError } from '#lib/system-error.ts';

/** A process as the kernel shows it. Numbers of processes are used again, so only with its start time it is the same one. */
export interface ProcessId {
  readonly pid: number;
  /** Ticks of the kernel's clock since boot. */
  readonly startTicks: string;
}

export interface RunningProcess extends ProcessId {
  /** What `markName` says in its environment: whose it is. */
  readonly mark: string;
  readonly memoryBytes: number;
  /** Used so far. Unit: ticks, 100 a second. */
  readonly cpuTicks: number;
}

/** In the environment of everything a member starts, so that it is found again, whoever its parent is by then. */
export const markName = 'CELLAR_MEMBER';

const pageSizeBytes = 4096;
const gone = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'] as const;

/** This boot of the machine; ids of processes mean nothing in another. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** Start time and state of a process; `undefined`: it is gone. One that has ended and waits for its parent is gone as well. */
export async function findProcess(pid: number): Promise<ProcessId | undefined> {
  const stat = await readStat(pid);
  return stat && { pid, startTicks: stat.startTicks };
}

/** All processes that carry a mark that starts with `prefix`. Those of other users cannot be read and are not ours. */
export async function markedProcesses(prefix: string): Promise<readonly RunningProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => readMarked(pid, prefix)));
  return found.filter((one) => one !== undefined);
}

async function readMarked(pid: number, prefix: string): Promise<RunningProcess | undefined> {
  const environment = await readOrNothing(`/proc/${pid}/environ`);
  const start = `${markName}=${prefix}`;
  const at = environment === undefined ? -1 : environment.startsWith(start) ? 0 : environment.indexOf(`\0${start}`) + 1 || -1;
  if (environment === undefined || at < 0) return undefined;
  const end = environment.indexOf('\0', at);
  const mark = environment.slice(at + markName.length + 1, end < 0 ? undefined : end);
  const stat = await readStat(pid);
  return stat && { pid, mark, ...stat };
}

async function readStat(pid: number): Promise<Omit<RunningProcess, 'pid' | 'mark'> | undefined> {
  const text = await readOrNothing(`/proc/${pid}/stat`);
  // The name may have spaces and brackets in it: what counts comes after the last bracket. Source: proc_pid_stat(5).
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  // Counted from the state, which is the third: user and system time, start, and pages in memory.
  const [user, system, start = '', pages] = [11, 12, 19, 21].map((at) => fields[at]);
  return { startTicks: start, cpuTicks: Number(user) + Number(system), memoryBytes: Number(pages) * pageSizeBytes };
}

async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if (isSystemError(error, ...gone)) return undefined;
    throw error;
  }
}
