import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Volumes that are not as most are. */
export type VolumeKind =
  /** `A` is `a`, some names are refused, no links, whole seconds, and inodes that are made up. */
  | 'exfat'
  /** Some names are refused, as Windows refuses them. */
  | 'ntfs'
  /** `A` is `a`, and all names are listed in lower case. */
  | 'ntfs-caseless'
  /** As HFS+: names are listed decomposed, and `A` is `a`. */
  | 'nfd'
  /** The same with inodes that are made up, and without links. */
  | 'nfd-made-up';

export interface MountedVolume extends AsyncDisposable {
  readonly path: string;
  /** As after the disk was taken out and put in again. */
  remount(): Promise<void>;
}

const folding: Readonly<Record<string, readonly string[]>> = { nfd: ['nfd', 'case', 'inodes'], 'nfd-made-up': ['nfd', 'case'] };
const mountMsMax = 10_000;
/** Debian's, which has its modules; another one may come first on the PATH. */
const python = '/usr/bin/python3';

/** Why volumes cannot be mounted here; `false` when they can. Under CI that is an error, so that nothing is skipped unseen. */
export function volumesMissing(): string | false {
  const reason = missingPart();
  if (reason && process.env['CI']) throw new Error(reason);
  return reason;
}

function missingPart(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'volumes cannot be mounted here; run as root on Linux to enable';
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse here; enable with: modprobe fuse';
  const install = 'enable with: apt-get install exfat-fuse exfatprogs ntfs-3g python3-fusepy fuse3 mount';
  for (const program of ['mkfs.exfat', 'mount.exfat-fuse', 'mkfs.ntfs', 'ntfs-3g', 'lowntfs-3g', 'losetup'])
    if (spawnSync('which', [program]).status !== 0) return `${program} is not on the PATH; ${install}`;
  if (spawnSync(python, ['-c', 'import fusepy']).status !== 0) return `Python has no fusepy; ${install}`;
  return spawnSync('losetup', ['-f']).status === 0 ? false : 'there are no loop devices here, which exFAT needs';
}

/** Makes a small volume and mounts it. However the test ends, also when it is killed, nothing stays mounted. */
export async function mountVolume(kind: VolumeKind): Promise<MountedVolume> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-volume-')));
  const [image, backing, path] = ['image', 'backing', 'mounted'].map((name) => join(folder, name)) as [string, string, string];
  for (const made of [backing, path]) mkdirSync(made);
  if (!(kind in folding)) run('truncate', '-s', '48M', image);
  if (kind === 'exfat') run('mkfs.exfat', image);
  else if (!(kind in folding)) run('mkfs.ntfs', '-F', '-q', '-f', image);
  const loop = kind === 'exfat' ? run('losetup', '-f', '--show', image).trim() : '';
  const cleaner = startCleaner(folder, path, loop);
  let server: ChildProcess | undefined;

  async function mount(): Promise<void> {
    const device = statSync(path).dev;
    if (kind === 'exfat') run('mount.exfat-fuse', loop, path);
    else if (kind === 'ntfs') run('ntfs-3g', '-o', 'windows_names', image, path);
    else if (kind === 'ntfs-caseless') run('lowntfs-3g', '-o', 'windows_names,ignore_case', image, path);
    else {
      const script = join(import.meta.dirname, 'folding-volume.py');
      server = spawn(python, [script, backing, path, ...(folding[kind] ?? [])], { stdio: 'ignore' });
      server.unref();
    }
    const patience = AbortSignal.timeout(mountMsMax);
    while (statSync(path).dev === device) await sleep(10, undefined, { signal: patience });
  }

  await mount();
  return {
    path,
    async remount() {
      server?.ref();
      const ended = server && once(server, 'exit');
      run('umount', path);
      await ended;
      await mount();
    },
    async [Symbol.asyncDispose]() {
      cleaner.ref();
      const ended = once(cleaner, 'exit');
      cleaner.stdin?.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Cleans up when its input ends: at the end of the test, or with our process. */
function startCleaner(folder: string, path: string, loop: string): ChildProcess {
  const script = `cat; umount -l "$1"; [ -z "$2" ] || losetup -d "$2"; rm -rf --one-file-system "$0"`;
  const cleaner = spawn('sh', ['-c', script, folder, path, loop], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  cleaner.unref();
  return cleaner;
}

function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr || stdout}`);
  return stdout;
}
