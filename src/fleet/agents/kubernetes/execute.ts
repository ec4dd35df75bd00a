import { PassThrough, type Writable } from 'node:stream';
import { Exec, type KubeConfig } from '@kubernetes/client-node';
import { containerName, KubeError } from './api.ts';

export interface Command {
  readonly namespace: string;
  readonly pod: string;
  readonly command: readonly string[];
}

/** Where a command's bytes come from and go to; it is waited for who reads slowly, on both sides. */
export interface Flow {
  readonly input?: AsyncIterable<Uint8Array>;
  readonly output: Writable;
  readonly errors: Writable;
}

/** A connection on which nothing is heard for so long is lost. */
const silenceMs = 30_000;
/** Channels of the protocol. Source: Kubernetes, `v4.channel.k8s.io`; each message begins with its channel. */
const inputChannel = 0;

/**
 * Runs a command in a container of ours. Result: its exit code. The end of the input is not told, since only newer versions of Kubernetes can: the
 * command has to know it by itself. Errors: `KubeError` when it could not be run; what the input throws, whereupon the command is left.
 */
export async function execute(
  config: KubeConfig,
  { namespace, pod, command }: Command,
  { input, output, errors }: Flow,
  signal: AbortSignal,
): Promise<number> {
  const ended = Promise.withResolvers<ExecStatus>();
  ended.promise.catch(() => undefined); // Whoever waits hears of it below.
  const cut = (): void => ended.reject(signal.reason);
  signal.addEventListener('abort', cut);
  if (signal.aborted) cut();
  // Only says that there is input: the library does not look whether what it sends goes away, so it gets nothing to send.
  const hasInput = input ? new PassThrough() : null;
  const opening: Promise<Socket> = new Exec(config)
    .exec(namespace, pod, containerName, [...command], output, errors, hasInput, false, (status) =>
      ended.resolve(status as ExecStatus),
    )
    .catch((error: unknown) => {
      throw openError(error);
    });
  let stopWatching = (): void => undefined;
  try {
    const socket = await Promise.race([opening, ended.promise.then(() => opening)]);
    stopWatching = watchSilence(socket, (error) => ended.reject(error));
    socket.onclose = () => ended.reject(new Error('the connection ended before the command did'));
    socket.onerror = ({ message }: Error) => ended.reject(new Error(message));
    // The library drops what it is told of a reader that is full.
    socket.on('message', () => void (output.writableNeedDrain && socket.pause()));
    output.on('drain', () => socket.resume());
    const feeding = input && feed(socket, input, ended.promise).catch((error: unknown) => ended.reject(error));
    const { status, message = '', details } = await ended.promise;
    await feeding;
    const code = details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
    if (status !== 'Success' && code === undefined) throw new KubeError(500, 'ExecFailed', message);
    return Number(code ?? 0);
  } finally {
    signal.removeEventListener('abort', cut);
    stopWatching();
    void opening.then(
      (socket) => socket.terminate(),
      () => undefined, // It was thrown above, or nobody waits any more.
    );
  }
}

/** Sends as fast as it goes away, until the command has ended. */
async function feed(socket: Socket, input: AsyncIterable<Uint8Array>, ended: Promise<unknown>): Promise<void> {
  const source = input[Symbol.asyncIterator]();
  const over = ended.then(
    () => undefined,
    () => undefined,
  );
  try {
    for (;;) {
      const next = await Promise.race([source.next(), over]);
      if (!next || next.done) return;
      const message = Buffer.concat([Buffer.of(inputChannel), next.value]);
      const sent = new Promise<void>((resolve, reject) => socket.send(message, (error) => (error ? reject(error) : resolve())));
      // The command may have ended without wanting all of it.
      await Promise.race([sent, over]);
      sent.catch(() => undefined);
    }
  } finally {
    void source.return?.().catch(() => undefined);
  }
}

/** Result: ends it. One that is not read from is not asked either. */
function watchSilence(socket: Socket, lost: (error: Error) => void): () => void {
  let isHeard = true;
  const hear = (): void => {
    isHeard = true;
  };
  socket.on('message', hear);
  socket.on('pong', hear);
  const timer = setInterval(() => {
    if (socket.isPaused) return hear();
    if (!isHeard) return lost(new Error(`nothing was heard for ${silenceMs / 1000} s`));
    isHeard = false;
    socket.ping();
  }, silenceMs);
  return () => clearInterval(timer);
}

/** What of the web socket counts here; its package has no types. */
interface Socket {
  onclose: unknown;
  onerror: unknown;
  readonly isPaused: boolean;
  on(event: 'message' | 'pong', listener: () => void): void;
  send(message: Uint8Array, sent: (error?: Error) => void): void;
  ping(): void;
  pause(): void;
  resume(): void;
  terminate(): void;
}

interface ExecStatus {
  readonly status?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Of a connection that was never one, the library tells by an event, and the API by a status in its text. */
function openError(error: unknown): Error {
  const { message = String(error) } = Object(error) as { readonly message?: string };
  const [, status] = /Unexpected server response: (\d{3})/.exec(message) ?? [];
  return status ? new KubeError(Number(status), 'ExecRefused', `a command was answered with ${status}`) : new Error(message);
}
