import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PinnedServer {
  readonly port: number;
  /** Processor time used so far, all threads. Unit: microseconds. */
  cpuUs(): number;
  stop(): Promise<void>;
}

const hasTaskset = spawnSync('taskset', ['-V']).error === undefined;
/** Unit: microseconds. */
const tickUs = 10_000;

/** Processor time that a process has used so far, all threads. Unit: microseconds, in steps of a hundredth of a second. */
export function cpuUsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

/** A command as it is run on one core, where the system can do that. */
export const pinned = (core: number, command: readonly string[]): readonly string[] =>
  hasTaskset ? ['taskset', '-c', String(core), ...command] : command;

/** A server of this folder in a process of its own, on one core where the system can do that. */
export async function startPinned(script: string, args: readonly string[], flags: readonly string[] = []): Promise<PinnedServer> {
  const command = [process.execPath, ...flags, join(import.meta.dirname, script), ...args];
  const [program = '', ...rest] = pinned(0, command);
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const { port } = JSON.parse(line) as { port: number };
  return {
    port,
    cpuUs: () => cpuUsOf(child.pid),
    async stop() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}
