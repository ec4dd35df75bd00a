import { invalidArgument, permissionDenied, unavailable } from '#kernel/fault.ts';
import { isHomeLocked, readServerInfo } from '#kernel/process/lock.ts';
import { pause } from '#lib/pause.ts';
import type { CliContext } from '../command.ts';
import { formatDuration } from '../output/format.ts';

/** Asks the server of the home to stop and waits until it has let the home go; kills it when it does not. */
export async function stop({ home, output, signal }: CliContext, options: { readonly timeout: string }): Promise<void> {
  const timeoutMs = Number(options.timeout) * 1000;
  if (!(timeoutMs > 0)) throw invalidArgument(`Cannot wait "${options.timeout}": it must be a number of seconds`);
  const startTimeMs = Date.now();
  if (!isHomeLocked(home)) {
    output.result({ home, wasRunning: false }, () => `Nothing runs with the home ${home}.`);
    return;
  }
  const info = await readServerInfo(home);
  if (!info) throw unavailable(`Cannot stop the server of ${home}: it is only just starting`, { hint: 'Try again in a moment.' });
  send(info.pid, 'SIGTERM');
  let isKilled = false;
  while (isHomeLocked(home)) {
    signal.throwIfAborted();
    if (!isKilled && Date.now() - startTimeMs > timeoutMs) {
      output.warn(`it did not stop within ${options.timeout} s and is killed`);
      send(info.pid, 'SIGKILL');
      isKilled = true;
    }
    await pause(20, signal);
  }
  const tookMs = Date.now() - startTimeMs;
  output.result(
    { home, wasRunning: true, pid: info.pid, isKilled, stopMs: tookMs },
    () => `Stopped in ${formatDuration(tookMs)}.`,
  );
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ESRCH') return;
    throw permissionDenied(`Cannot stop process ${pid}: it belongs to another user`, { cause });
  }
}
