import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import { believing } from './believe.ts';

/** A Docker engine, and where what it publishes is reached. */
export interface Engine {
  readonly docker: Docker;
  /** It runs on this very machine. */
  readonly isLocal: boolean;
  /** Name or address of its machine, as seen from here. */
  readonly machine: string;
}

const socketDefault = '/var/run/docker.sock';
const portDefault = 2376;

/**
 * `address`: empty or `unix:///path` for a socket, `tcp://machine:port` for an engine elsewhere, which is reached by TLS only, with `ca.pem`,
 * `cert.pem` and `key.pem` of `credentials`, a folder's name below `folder`. Errors: `invalid_argument` with reasons `address_invalid` and `credentials_missing`.
 */
export async function connectEngine(address: string, credentials: string, folder: string): Promise<Engine> {
  if (address === '' || address.startsWith('unix://')) {
    const socketPath = address.slice('unix://'.length) || socketDefault;
    return { docker: believing(new Docker({ socketPath })), isLocal: true, machine: '127.0.0.1' };
  }
  const url = URL.canParse(address) ? new URL(address.replace(/^tcp:/, 'https:')) : undefined;
  if (!/^tcp:/.test(address) || !url || url.hostname === '') {
    throw invalidArgument(`The address ${JSON.stringify(address)} is none of a Docker engine`, {
      reason: 'address_invalid',
      hint: 'Write "unix:///var/run/docker.sock" or "tcp://machine:2376".',
    });
  }
  const [ca, cert, key] = await readCredentials(credentials, folder);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const docker = believing(new Docker({ protocol: 'https', host, port: Number(url.port) || portDefault, ca, cert, key }));
  return { docker, isLocal: host === '127.0.0.1' || host === '::1' || host === 'localhost', machine: host };
}

async function readCredentials(name: string, folder: string): Promise<[string, string, string]> {
  const missing = (why: string, cause?: unknown): Error =>
    invalidArgument(`The engine cannot be reached without keys: ${why}`, {
      reason: 'credentials_missing',
      hint: `Put ca.pem, cert.pem and key.pem into a folder below "${folder}", and give its name as the credentials.`,
      cause,
    });
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
    throw missing(name === '' ? 'none were named' : `${JSON.stringify(name)} is no name`);
  try {
    const read = (file: string): Promise<string> => readFile(join(folder, name, file), 'utf8');
    return await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')]);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES'))
      throw missing(`those called "${name}" are not there or not readable`, error);
    throw error;
  }
}

const statusOf = (error: unknown): number | undefined => {
  const status = Object(error).statusCode as unknown;
  return typeof status === 'number' ? status : undefined;
};

/** True when an engine says that there is no such thing. A swarm says some of it with status 500. */
export const isGone = (error: unknown): boolean =>
  statusOf(error) === 404 || (statusOf(error) === 500 && /\bnot found$/.test(messageOf(error).trim()));
/** True when it says that there is one already, or one in the wrong state. */
export const isConflict = (error: unknown): boolean =>
  statusOf(error) === 409 || (statusOf(error) === 500 && /name conflicts with an existing object/.test(messageOf(error)));
/** True when what was asked for is so already. */
export const isSoAlready = (error: unknown): boolean => statusOf(error) === 304;

/** What an engine answered, or did not, in our words. */
export function engineFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  const message = messageOf(error);
  const status = statusOf(error);
  if (status === undefined) {
    return new Fault(Code.Unavailable, `The engine does not answer: ${message}`, {
      reason: 'engine_unreachable',
      hint: 'See that it runs, and that Cellar may use its socket or port.',
      cause: error,
    });
  }
  if (/port is already allocated|address already in use|port .*in use/i.test(message))
    return failed(`A port is taken on the engine's machine: ${message}`, 'port_taken', error);
  if (/no space left on device|disk quota exceeded/i.test(message))
    return failed(`The engine's disk is full: ${message}`, 'disk_full', error);
  if (status === 401 || status === 403)
    return new Fault(Code.Unauthenticated, `The engine refuses us: ${message}`, { reason: 'credentials_refused', cause: error });
  return new Fault(Code.Internal, `The engine answered ${status}: ${message}`, { reason: 'engine_failed', cause: error });
}

const failed = (message: string, reason: string, cause: unknown): Fault =>
  new Fault(Code.FailedPrecondition, message, { reason, cause });

/** What the engine itself said, without the client's words around it. */
export function messageOf(error: unknown): string {
  const { json } = Object(error) as { readonly json?: unknown };
  const said = Object(json).message as unknown;
  if (typeof said === 'string') return said;
  return error instanceof Error ? error.message : String(error);
}

/** Runs calls of an engine; whatever they reject with is a `Fault`, but for the caller's own signal. */
export async function asking<T>(signal: AbortSignal, timeoutMs: number, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    // An engine that hangs must not hold us, whatever it was asked.
    return await Promise.race([task(patience), new Promise<never>((_, reject) => patience.addEventListener('abort', reject))]);
  } catch (error) {
    signal.throwIfAborted();
    if (patience.aborted) throw engineFault(new Error(`it took longer than ${timeoutMs / 1000} s`));
    throw engineFault(error);
  }
}
