import { once } from 'node:events';
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Endpoint } from '../../calls/endpoint.ts';
import { Code, Fault, failedPrecondition, invalidArgument } from '../../fault.ts';
import { type Log, silentLog } from '../../log.ts';
import { type LocalLimits, localLimits } from './limits.ts';
import { ServerConnection } from './server-connection.ts';

export interface LocalServerOptions {
  /** Where the Unix socket is made, with mode 0600, in a folder only the owner may enter. At most 107 bytes. */
  readonly path: string;
  readonly log?: Log;
  readonly limits?: Partial<LocalLimits>;
}

export interface LocalServer {
  readonly path: string;
  /** Takes no more connections or calls; resolves when those under way have ended, or when `signal` aborts and has ended them. */
  close(signal?: AbortSignal): Promise<void>;
}

const pathBytesMax = 107;

/**
 * Serves an endpoint to the other processes of this machine.
 * Errors: `failed_precondition` when another process answers there or the path is no socket, `invalid_argument` when the path is too long.
 */
export async function serveLocal(endpoint: Endpoint, options: LocalServerOptions): Promise<LocalServer> {
  const { path, log = silentLog } = options;
  const limits = { ...localLimits, ...options.limits };
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw invalidArgument(`Cannot listen on ${path}: a socket's path has at most ${pathBytesMax} bytes`, {
      hint: 'Use a home with a shorter path.',
    });
  }
  await removeStale(path);
  const connections = new Set<ServerConnection>();
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    const connection: ServerConnection = new ServerConnection({
      socket,
      endpoint,
      limits,
      log,
      onClose: () => connections.delete(connection),
    });
    connections.add(connection);
  });
  server.maxConnections = limits.connectionsMax;
  server.on('drop', () =>
    log.warn('a connection was refused: there are too many', { path, connectionsMax: limits.connectionsMax }),
  );
  // Binding is synchronous, so nobody sees the socket with a wider mode.
  const umask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  try {
    await once(server, 'listening');
  } catch (error) {
    throw cannotListen(path, error);
  }
  chmodSync(path, 0o600);
  const everyMs = Math.max(10, Math.min(limits.greetingMsMax, limits.partialFrameMsMax) / 4);
  const watchdog = setInterval(() => {
    const nowMs = performance.now();
    for (const connection of connections) connection.watch(nowMs);
  }, everyMs).unref();
  return {
    path,
    close: async (signal) => {
      clearInterval(watchdog);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) connection.stop();
      const end = (): void => {
        for (const connection of connections) connection.close();
      };
      if (signal?.aborted) end();
      else signal?.addEventListener('abort', end, { once: true });
      await closed;
      signal?.removeEventListener('abort', end);
    },
  };
}

/** Removes what a process that was killed left behind, and nothing else. */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isSocket()) throw failedPrecondition(`Cannot listen on ${path}: there is something else, and it is no socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isAlive) {
    throw failedPrecondition(`Cannot listen on ${path}: another process answers there`, {
      hint: 'Is Cellar running already? `cellar status` shows it.',
    });
  }
  unlinkSync(path);
}

function cannotListen(path: string, error: unknown): Fault {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  return new Fault(Code.FailedPrecondition, `Cannot listen on ${path}${code}`, {
    cause: error,
    hint: 'Does its folder exist, and may this process write there?',
  });
}
