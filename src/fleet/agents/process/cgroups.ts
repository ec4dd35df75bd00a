import { access, constants, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';

/** Unit: bytes, thousandths of a core, and threads; 0: no limit. */
export interface MemberLimits {
  readonly memoryBytesMax: number;
  readonly cpuMillisMax: number;
  readonly processesMax: number;
}

/** Control groups of the kernel, one for each member: they hold its limits, and all of its processes, whatever these do to get away. */
export interface Cgroups {
  /** Memory, processor time and processes can be limited here. */
  readonly hasLimits: boolean;
  /** Makes a member's groups; result: files a process writes `0` into to join them, with all it starts later. */
  make(name: string, limits: MemberLimits): Promise<readonly string[]>;
  /** Numbers of all processes in a member's groups. */
  processes(name: string): Promise<readonly number[]>;
  /** Ends all of them by force. */
  kill(name: string): Promise<void>;
  /** How often the kernel ended one of them for its memory. */
  memoryKills(name: string): Promise<number>;
  /** Those there are. */
  names(): Promise<readonly string[]>;
  /** Does nothing while processes are left in it. */
  remove(name: string): Promise<void>;
}

/** Where the kernel shows its groups: of version 1 one tree for each controller, of version 2 one for all. */
export interface CgroupTrees {
  readonly unified?: string;
  readonly controllers: Readonly<Record<string, string>>;
}

/** Ours, below the root of each tree. */
const folderName = 'cellar';
const periodUs = 100_000;

/** Source: cgroups(7), proc_pid_mountinfo(5). */
export function readTrees(mountinfo: string): CgroupTrees {
  const controllers: Record<string, string> = {};
  let unified: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const path = left.split(' ')[4];
    const [type, , options = ''] = right.split(' ');
    if (path === undefined) continue;
    if (type === 'cgroup2') unified = path;
    if (type === 'cgroup')
      for (const name of ['memory', 'cpu', 'pids']) if (options.split(',').includes(name)) controllers[name] = path;
  }
  return { controllers, ...(unified === undefined ? {} : { unified }) };
}

/** Those of the trees that may be written. What is not there is done without. */
export async function openCgroups(trees?: CgroupTrees): Promise<Cgroups> {
  const { unified, controllers } = trees ?? readTrees(await readFile('/proc/self/mountinfo', 'utf8'));
  const second = unified !== undefined && (await isOurs(unified)) ? join(unified, folderName) : undefined;
  const enabled = second === undefined ? [] : await enable(unified ?? '', second);
  const first: Record<string, string> = {};
  for (const [name, path] of Object.entries(controllers)) if (await isOurs(path)) first[name] = join(path, folderName);
  const has = (controller: string): boolean => enabled.includes(controller) || first[controller] !== undefined;
  const roots = [...new Set([...(second === undefined ? [] : [second]), ...Object.values(first)])];

  const limit = async (name: string, { memoryBytesMax, cpuMillisMax, processesMax }: MemberLimits): Promise<void> => {
    const set = (controller: string, older: readonly Setting[], newer: readonly Setting[]) =>
      enabled.includes(controller)
        ? writeAll(join(second ?? '', name), newer)
        : writeAll(join(first[controller] ?? '', name), older);
    const quota = cpuMillisMax * (periodUs / 1000);
    if (memoryBytesMax > 0 && has('memory')) {
      // Without swap, where the kernel can tell: a member that swaps makes all others slow. All of it ends at once, not some part of it.
      await set(
        'memory',
        [
          { file: 'memory.limit_in_bytes', value: memoryBytesMax },
          { file: 'memory.memsw.limit_in_bytes', value: memoryBytesMax, isOptional: true },
        ],
        [
          { file: 'memory.max', value: memoryBytesMax },
          { file: 'memory.swap.max', value: 0, isOptional: true },
          { file: 'memory.oom.group', value: 1, isOptional: true },
        ],
      );
    }
    if (cpuMillisMax > 0 && has('cpu'))
      await set(
        'cpu',
        [
          { file: 'cpu.cfs_period_us', value: periodUs },
          { file: 'cpu.cfs_quota_us', value: quota },
        ],
        [{ file: 'cpu.max', value: `${quota} ${periodUs}` }],
      );
    if (processesMax > 0 && has('pids'))
      await set('pids', [{ file: 'pids.max', value: processesMax }], [{ file: 'pids.max', value: processesMax }]);
  };
  const processes = async (name: string): Promise<readonly number[]> => {
    const lists = await Promise.all(roots.map((root) => readOrNothing(join(root, name, 'cgroup.procs'))));
    return [...new Set(lists.flatMap((list) => list.split('\n').filter(Boolean).map(Number)))];
  };
  return {
    hasLimits: ['memory', 'cpu', 'pids'].every(has),
    async make(name, limits) {
      for (const root of roots) await mkdir(join(root, name), { recursive: true });
      await limit(name, limits);
      return roots.map((root) => join(root, name, 'cgroup.procs'));
    },
    processes,
    async kill(name) {
      if (second !== undefined) await writeAll(join(second, name), [{ file: 'cgroup.kill', value: 1, isOptional: true }]);
      // Where the kernel cannot end a group at once, no new process may come while the old ones are ended.
      if (first['pids'] !== undefined)
        await writeAll(join(first['pids'], name), [{ file: 'pids.max', value: 0, isOptional: true }]);
      for (const pid of await processes(name)) endNow(pid);
    },
    async memoryKills(name) {
      const [root, file] = enabled.includes('memory') ? [second, 'memory.events'] : [first['memory'], 'memory.oom_control'];
      if (root === undefined) return 0;
      return Number(/^oom_kill (\d+)$/m.exec(await readOrNothing(join(root, name, file)))?.[1] ?? 0);
    },
    async names() {
      const [root] = roots;
      if (root === undefined) return [];
      return (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    async remove(name) {
      for (const root of roots) await removeGroup(join(root, name));
    },
  };
}

interface Setting {
  readonly file: string;
  readonly value: string | number;
  /** Not every kernel has it. */
  readonly isOptional?: boolean;
}

async function writeAll(group: string, settings: readonly Setting[]): Promise<void> {
  for (const { file, value, isOptional = false } of settings) {
    const path = join(group, file);
    // These files are there or not; writing must not make them.
    if (isOptional && !(await isWritable(path))) continue;
    await writeFile(path, String(value), { flag: 'r+' });
  }
}

/** Makes our folder in a tree; false when that is not allowed. */
async function isOurs(root: string): Promise<boolean> {
  try {
    await mkdir(join(root, folderName), { recursive: true });
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'EINVAL')) return false;
    throw error;
  }
  return await isWritable(join(root, folderName, 'cgroup.procs'));
}

/** Of version 2: has controllers handed down to our groups; result: those that are. */
async function enable(root: string, ours: string): Promise<readonly string[]> {
  for (const folder of [root, ours]) {
    for (const controller of ['memory', 'cpu', 'pids']) {
      try {
        await writeFile(join(folder, 'cgroup.subtree_control'), `+${controller}`, { flag: 'r+' });
      } catch (error) {
        // It is not there, is used by version 1, or processes live in between: then it is not enabled, which is read below.
        if (!(error instanceof Error && 'code' in error)) throw error;
      }
    }
  }
  return (await readOrNothing(join(ours, 'cgroup.subtree_control'))).split(/\s+/).filter((name) => name !== '');
}

async function removeGroup(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    if (!isBusy(error)) throw error;
    // A member may have made groups of its own in it.
    const inside = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isDirectory());
    if (inside.length === 0) return;
    for (const { name } of inside) await removeGroup(join(path, name));
    await rmdir(path).catch((again: unknown) => {
      if (!isBusy(again)) throw again;
    });
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EBUSY' || error.code === 'ENOTEMPTY');

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
  }
}

async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS')) return false;
    throw error;
  }
}

async function readOrNothing(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENODEV', 'EACCES')) return '';
    throw error;
  }
}
