import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { type Backoff, backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { Endpoint } from '../../calls/endpoint.ts';
import { Code, Fault, unavailable } from '../../fault.ts';
import type { Log } from '../../log.ts';
import type { TlsMaterial } from '../ca/tls.ts';
import { ServerConnection } from '../local/server-connection.ts';
import { type DialledLimits, dialledLimits } from './limits.ts';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Asked anew for each connection, so that a bundle can be replaced while this runs. */
  readonly tls: () => TlsMaterial | Promise<TlsMaterial>;
  /** The name that the certificate of the other side has, wherever it is reached. Default: `platformName`. */
  readonly serverName?: string;
  /** What is served to the other side. */
  readonly endpoint: Endpoint;
  readonly log: Log;
  /** Hangs up and ends. */
  readonly signal: AbortSignal;
  readonly limits?: Partial<DialledLimits>;
  readonly backoff?: Backoff;
  /** At each connection over which the other side has called, and each time one has ended or could not be made. */
  readonly onChange?: (state: { readonly isConnected: boolean; readonly why: string }) => void;
}

/** The name in the certificate with which a platform meets those that dial in. No host can be called so. */
export const platformName = 'platform.cellar.internal';
/** Why the other side wants no more of this one: another has taken its place. */
export const replacedReason = 'connection_replaced';
/** A connection that lasted so long was a good one. Unit: milliseconds. */
const goodMs = 10_000;
const backoffDefault: Backoff = { firstMs: 500, maxMs: 30_000 };

/**
 * Keeps one connection to the other side, which calls over it what `endpoint` serves: this side dials, the other one asks. Dials again
 * when it is lost or refused, with growing random pauses. Resolves when the signal fires.
 * Errors: the fault with which the other side said that another connection has taken the place of this one; nothing else.
 */
export async function keepDialled(options: DialOptions): Promise<void> {
  const { signal, log, host, port, backoff = backoffDefault, onChange } = options;
  let failures = 0;
  while (!signal.aborted) {
    const startMs = performance.now();
    const fault = await serveOnce(options);
    if (signal.aborted) return;
    if (fault.reason === replacedReason) throw fault;
    failures = performance.now() - startMs > goodMs ? 1 : failures + 1;
    const waitMs = backoffMs(backoff, failures);
    log.warn('there is no connection to the platform', { host, port, reason: fault.reason, why: fault.message, waitMs });
    onChange?.({ isConnected: false, why: fault.message });
    await rest(waitMs, signal);
  }
}

/** One connection, from dialling to its end. Result: why it ended. */
async function serveOnce(options: DialOptions): Promise<Fault> {
  const { endpoint, log, signal } = options;
  const limits = { ...dialledLimits, ...options.limits };
  let socket: TLSSocket;
  try {
    socket = await dial(options, limits);
  } catch (error) {
    return dialFault(options, error);
  }
  const ended = Promise.withResolvers<Fault>();
  const connection = new ServerConnection({
    ...{ socket, endpoint, limits, log, silenceMsMax: limits.silenceMsMax },
    onCalled: () => {
      log.info('connected to the platform', { host: options.host, port: options.port });
      options.onChange?.({ isConnected: true, why: '' });
    },
    onClose: (why) => ended.resolve(why ?? unavailable('The connection was closed', { reason: 'connection_lost' })),
  });
  const everyMs = Math.max(10, Math.min(limits.greetingMsMax, limits.silenceMsMax) / 4);
  const watchdog = setInterval(() => connection.watch(performance.now()), everyMs).unref();
  const hangUp = (): void => connection.close();
  signal.addEventListener('abort', hangUp, { once: true });
  if (signal.aborted) hangUp();
  try {
    return dialFault(options, await ended.promise);
  } finally {
    clearInterval(watchdog);
    signal.removeEventListener('abort', hangUp);
  }
}

async function dial(
  { host, port, tls, serverName = platformName, signal }: DialOptions,
  { dialMsMax }: DialledLimits,
): Promise<TLSSocket> {
  const given = AbortSignal.any([signal, AbortSignal.timeout(dialMsMax)]);
  const { ca, cert, key } = await tls();
  const socket = connect({
    ...{ host, port, ca, cert, key, minVersion: 'TLSv1.3', servername: serverName, allowHalfOpen: false },
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
  });
  socket.setNoDelay(true);
  const opened = Promise.withResolvers<void>();
  const giveUp = (): void => opened.reject(given.reason);
  given.addEventListener('abort', giveUp, { once: true });
  socket.once('error', opened.reject);
  socket.once('secureConnect', opened.resolve);
  try {
    given.throwIfAborted();
    await opened.promise;
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    given.removeEventListener('abort', giveUp);
    socket.off('error', opened.reject);
  }
}

function dialFault({ host, port }: DialOptions, error: unknown): Fault {
  const cause = error instanceof Fault && error.cause instanceof Error ? error.cause : error;
  const code = String((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
  const where = `${host}:${port}`;
  if (error instanceof Fault) return error;
  if (/^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_PURPOSE|ERR_TLS_CERT_ALTNAME)/.test(code)) {
    return new Fault(Code.Unauthenticated, `Who answers at ${where} is not the platform of the bundle (${code})`, {
      reason: 'platform_unknown',
      hint: 'Check the address, and that the bundle is of this installation.',
      cause,
    });
  }
  const why = error instanceof Error && error.name === 'TimeoutError' ? 'it takes too long' : code || 'connecting failed';
  return unavailable(`Cannot reach ${where}: ${why}`, { reason: 'unreachable', cause });
}
