import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A started `peer.ts`. */
export interface PeerProcess {
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export async function startPeer(args: readonly string[]): Promise<PeerProcess> {
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = spawn(process.execPath, [join(import.meta.dirname, 'peer.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = started;
    const exited = once(started, 'exit').then(([code]) => {
      throw new Error(`the peer ended with ${String(code)} before it was ready`);
    });
    await Promise.race([once(started.stdout, 'data'), exited]);
    exited.catch(() => undefined);
  };
  await start();
  return {
    kill: async () => {
      const running = child;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, 'exit');
      running.kill('SIGKILL');
      await exited;
    },
    restart: start,
  };
}
