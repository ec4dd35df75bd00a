import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that tests take away and give back. */
export interface TestFolder extends Disposable {
  readonly path: string;
  /** Takes it away while programs use it. */
  take(): void;
  /** Gives it back with all that was in it. */
  give(): void;
  /** Writes a file in it, also while it is away. */
  write(name: string, content: string): void;
}

/** A small disk of its own; taken away, it leaves an empty folder at its place. */
export interface TestDisk extends TestFolder {
  /** Takes all the space there is. */
  fill(): void;
  /** Gives it back. */
  free(): void;
  /** Nothing can be written from now on, whoever asks. */
  setReadOnly(isReadOnly: boolean): void;
}

/** Why disks cannot be mounted here; `false` when they can. Under CI that is an error, so that nothing is skipped unseen. */
export function disksMissing(): string | false {
  const reason = 'disks cannot be mounted here; run as root to enable';
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    const probe = mkdtempSync(join(tmpdir(), 'cellar-probe-'));
    const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'cellar', probe]).status === 0;
    if (isMounted) spawnSync('umount', [probe]);
    rmSync(probe, { recursive: true });
    if (isMounted) return false;
  }
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

/** A disk in memory. It is mounted twice, once where nobody looks, so that it outlives being taken away. */
export function mountDisk(sizeMib: number): TestDisk {
  const root = mkdtempSync(join(tmpdir(), 'cellar-disk-'));
  const kept = join(root, 'kept');
  const path = join(root, 'disk');
  const data = join(kept, 'data');
  const ballast = join(kept, 'ballast');
  mkdirSync(kept);
  mkdirSync(path);
  command('mount', '-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'cellar', kept);
  mkdirSync(data);
  const give = (): void => command('mount', '--bind', data, path);
  give();
  return {
    path,
    take: () => command('umount', '--lazy', path),
    give,
    write: (name, content) => writeFileSync(join(data, name), content),
    fill() {
      const file = openSync(ballast, 'a');
      // Smaller and smaller pieces, until not one byte is left.
      for (const size of [65_536, 4096, 1]) while (isWritten(file, size));
      closeSync(file);
    },
    free: () => rmSync(ballast, { force: true }),
    setReadOnly: (isReadOnly) => command('mount', '-o', `remount,bind,${isReadOnly ? 'ro' : 'rw'}`, path),
    [Symbol.dispose]() {
      for (const mounted of [path, kept]) spawnSync('umount', ['--lazy', mounted]);
      if (!existsSync(data)) rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A plain folder; taken away, it has another name. */
export function movableFolder(): TestFolder {
  const root = mkdtempSync(join(tmpdir(), 'cellar-folder-'));
  const path = join(root, 'here');
  const away = join(root, 'away');
  mkdirSync(path);
  return {
    path,
    take: () => renameSync(path, away),
    give: () => renameSync(away, path),
    write: (name, content) => writeFileSync(join(existsSync(away) ? away : path, name), content),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

function isWritten(file: number, sizeBytes: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(sizeBytes)) > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}

function command(name: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')} failed: ${stderr}`);
}
