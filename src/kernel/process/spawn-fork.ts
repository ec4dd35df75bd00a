import { type ChildProcess, spawn } from 'node:child_process';

/** V8's spare room is kept small: a fork serves one datasource, and there may be many. */
const flags = ['--max-semi-space-size=8'];

/** Makes the process of one service: `cellar start --fork NAME`. */
export function spawnFork(script: string, name: string): ChildProcess {
  return spawn(process.execPath, [...flags, script, 'start', '--fork', name], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
}
