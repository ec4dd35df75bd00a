import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pause } from '#lib/pause.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { Log } from '../log.ts';

/**
 * Ends processes a main process left behind when it was killed. They end by themselves when it goes; one that hangs cannot.
 * A process is known by its id and its start, since ids are used again.
 */
export async function killLeftovers(path: string, log: Log): Promise<void> {
  let known: readonly { readonly pid: number; readonly start: string }[];
  try {
    known = JSON.parse(await readFile(path, 'utf8')) as typeof known;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    log.warn('what an earlier run left cannot be read', { path, error });
    return;
  }
  for (const { pid, start } of known) {
    if (start === '' || processStart(pid) !== start) continue;
    log.warn('ending a process of an earlier run', { pid });
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!isSystemError(error, 'ESRCH')) throw error;
    }
    // Its sockets and databases are free when it has gone, which is a matter of moments.
    for (let tries = 0; tries < 200 && processStart(pid) === start; tries++) await pause(10);
  }
  rmSync(path, { force: true });
}

/** Keeps which processes there are, for the next run. */
export function rememberProcesses(path: string, pids: readonly number[]): void {
  if (pids.length === 0) rmSync(path, { force: true });
  else writeFileSync(path, JSON.stringify(pids.map((pid) => ({ pid, start: processStart(pid) }))), { mode: 0o600 });
}

/** Start time of a process in the kernel's ticks; empty when there is none (or it is dead and not yet buried), or no `/proc` to ask. Source: proc(5), `stat` field 22. */
function processStart(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
