import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RunningPlatform {
  readonly home: string;
  /** From the command to its word that all services are ready. Unit: milliseconds. */
  readonly startMs: number;
  /** Ids of the main process and all it has started. */
  pids(): Promise<readonly number[]>;
  /** Stops it; the home stays. */
  stop(): Promise<void>;
}

/** A home for a platform, and two folders to serve below one parent. */
export async function makeHome(): Promise<{ readonly home: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'cellar-bench-'));
  for (const name of ['one', 'two']) {
    await mkdir(join(folder, 'data', name), { recursive: true });
    for (let number = 0; number < 100; number++) await writeFile(join(folder, 'data', name, `${number}.txt`), `file ${number}\n`);
  }
  return { home: join(folder, 'home'), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** `cellar start` with two datasources, as a person would run it; resolves when it says that it is ready. */
export async function startPlatform(home: string, args: readonly string[]): Promise<RunningPlatform> {
  const data = join(home, '..', 'data');
  const command = join(import.meta.dirname, '../bin/cellar');
  const startMs = performance.now();
  const datasources = ['one', 'two'].flatMap((name) => ['--datasource', `${name}=${join(data, name)}`]);
  const child = spawn(command, ['start', '--home', home, '--port', '0', '--json', '--quiet', ...datasources, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8');
  const ready = new Promise<number>((resolve) => {
    child.stdout.on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('\n}')) resolve(performance.now() - startMs);
    });
  });
  const took = await Promise.race([ready, exited.then(() => Promise.reject(new Error(`It ended before it was ready: ${said}`)))]);
  const { notReady } = JSON.parse(said) as { notReady: readonly unknown[] };
  if (notReady.length > 0) throw new Error(`Not all is ready: ${said}`);
  return {
    home,
    startMs: took,
    pids: async () => {
      const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      return [child.pid ?? 0, ...children.trim().split(' ').filter(Boolean).map(Number)];
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
