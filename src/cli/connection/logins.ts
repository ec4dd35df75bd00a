import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { failedPrecondition } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import { systemFault } from '../system-fault.ts';

/** A stored sign-in at one server. */
export interface Login {
  readonly token: string;
  /** The user's name. */
  readonly name: string;
  /** ISO 8601; absent: does not end by itself. */
  readonly expireTime?: string;
}

export interface Logins {
  /** Address of the server last logged in to. */
  readonly current: string | undefined;
  /** By the server's address. */
  readonly servers: Readonly<Record<string, Login>>;
}

/** Path of the file that holds the logins of this account. */
export function loginsPath(env: Readonly<Record<string, string | undefined>>): string {
  const config = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(config, 'cellar', 'logins.json');
}

/** Errors: `failed_precondition` when the file is not what this program writes, or others may read it. */
export async function readLogins(path: string): Promise<Logins> {
  let text: string;
  try {
    const file = await open(path);
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0 && process.platform !== 'win32') {
        throw failedPrecondition(`Cannot use the logins in ${path}: other accounts may read the file`, {
          hint: `chmod 600 ${path}`,
        });
      }
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return { current: undefined, servers: {} };
    throw systemFault('read', path, error);
  }
  try {
    return parseLogins(JSON.parse(text));
  } catch (error) {
    throw failedPrecondition(`Cannot use the logins in ${path}: the file is damaged`, {
      hint: 'Remove the file and log in again.',
      cause: error,
    });
  }
}

/** Replaces the file in one step, readable by this account only. */
export async function writeLogins(path: string, logins: Logins): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(logins, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw systemFault('store the login in', path, error);
  }
}

export function withLogin(logins: Logins, url: string, login: Login): Logins {
  return { current: url, servers: { ...logins.servers, [url]: login } };
}

export function withoutLogin(logins: Logins, url: string): Logins {
  const { [url]: _gone, ...servers } = logins.servers;
  return { current: logins.current === url ? undefined : logins.current, servers };
}

/** The token in a file: its only line. Errors: the file cannot be read, is empty, or is too large to be a token. */
export async function readTokenFile(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw systemFault('read the token file', path, error);
  }
  const token = text.trim();
  if (!/^\S{1,500}$/.test(token)) {
    throw failedPrecondition(`Cannot use the token file ${path}: it does not hold one token and nothing else`);
  }
  return token;
}

function parseLogins(json: unknown): Logins {
  const { current, servers } = json as { current?: unknown; servers?: unknown };
  if (current !== undefined && typeof current !== 'string') throw new Error('"current" is not text');
  if (typeof servers !== 'object' || servers === null) throw new Error('"servers" is not a map');
  for (const [url, login] of Object.entries(servers)) {
    if (typeof login?.token !== 'string' || typeof login.name !== 'string') throw new Error(`"${url}" is not a login`);
  }
  return { current, servers: servers as Record<string, Login> };
}
