import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { until } from './engines.ts';

/** What becomes of what was not synced, see `power-disk.py`. */
export const cutModes = ['all', 'names', 'some'] as const;
export type CutMode = (typeof cutModes)[number];

/** How much was lost. */
export interface Lost {
  readonly names: number;
  readonly pages: number;
  readonly files: number;
}

/** A disk that loses its power. */
export interface PowerDisk extends AsyncDisposable {
  readonly path: string;
  /** Nothing works from now on, and what was not synced is gone. The disk stays mounted until `restore`. */
  cut(mode: CutMode, seed: number): Promise<Lost>;
  /** Mounts what there is, after all programs that used it have ended. */
  restore(): Promise<void>;
}

/** What loses its power lies in memory: nothing here has to wait for a real disk. */
const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const program = join(import.meta.dirname, 'power-disk.py');

/** Who can run the file system: Debian's package belongs to Debian's Python, which need not be the first on the PATH. */
const python = ['python3', '/usr/bin/python3'].find((name) => {
  const { status } = spawnSync(name, ['-c', 'try:\n  import fusepy\nexcept ImportError:\n  import fuse']);
  return status === 0;
});

/** Why there can be no such disks here; `false` when there can. Under CI that is an error, so that nothing is skipped unseen. */
export function powerDisksMissing(): string | false {
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
  const isThere = python !== undefined && spawnSync('sh', ['-c', 'test -c /dev/fuse && command -v fusermount']).status === 0;
  if (isRoot && isThere) return false;
  const reason = 'no power can be cut here; run as root and apt-get install python3-fusepy fuse3 to enable';
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

export async function mountPowerDisk(): Promise<PowerDisk> {
  const root = mkdtempSync(join(inMemory, 'cellar-power-'));
  const [path, backing] = [join(root, 'disk'), join(root, 'backing')];
  mkdirSync(path);
  let child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  let said = '';

  async function mount(): Promise<void> {
    const before = statSync(path).dev;
    const started = spawn(python ?? 'python3', [program, path, backing], { stdio: ['pipe', 'pipe', 'pipe'] });
    child = started;
    said = '';
    started.stderr.on('data', (data) => {
      said = (said + data).slice(-5000);
    });
    const isThere = (): boolean => {
      if (started.exitCode !== null) throw new Error(`The disk cannot be mounted: ${said}`);
      return statSync(path).dev !== before;
    };
    await until(isThere);
  }

  async function unmount(): Promise<void> {
    const ending = child;
    child = undefined;
    spawnSync('umount', ['--lazy', path]);
    if (!ending || ending.exitCode !== null) return;
    const exited = once(ending, 'exit');
    ending.stdin.end();
    await exited;
  }

  await mount();
  return {
    path,
    async cut(mode, seed) {
      if (!child) throw new Error('The disk has no power');
      const told = once(child.stdout, 'data');
      child.stdin.write(`cut ${mode} ${seed}\n`);
      const answer = JSON.parse(String((await told)[0])) as Lost & { readonly error?: string };
      if (answer.error) throw new Error(`What was not synced cannot be undone: ${answer.error}`);
      return answer;
    },
    async restore() {
      await unmount();
      await mount();
    },
    async [Symbol.asyncDispose]() {
      await unmount();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
