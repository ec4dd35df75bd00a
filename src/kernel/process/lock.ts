import { lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { isSystemError } from '#lib/system-error.ts';
import { Code, Fault, failedPrecondition } from '../fault.ts';
import { homePaths, socketFolder } from './paths.ts';

/** What a running server says of itself in `run/server.json`. */
export interface ServerInfo {
  readonly pid: number;
  /** Unit: milliseconds since 1970. */
  readonly startTimeMs: number;
  /** Where people reach it; empty while it starts. */
  readonly url: string;
  readonly isReady: boolean;
  readonly version: string;
  /** Services that were not ready when it had started, and why. */
  readonly notReady: readonly { readonly service: string; readonly reason: string }[];
}

/** The right to be the one server of a home, until released. The system releases it when the process dies, however it dies. */
export interface HomeLock {
  /** Tells others about this server. */
  publish(info: ServerInfo): Promise<void>;
  release(): Promise<void>;
}

/**
 * Makes the home's folders and takes its lock.
 * Errors: `failed_precondition` with reason `already_running`, or `home_unusable` when the folder cannot be written.
 */
export async function lockHome(home: string): Promise<HomeLock> {
  const paths = homePaths(home);
  await makeFolders(home);
  const database = new DatabaseSync(paths.lock);
  try {
    // A file lock that dies with its holder; the file itself stays and means nothing.
    database.exec('pragma busy_timeout = 200; pragma journal_mode = delete; begin exclusive');
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode !== 5) throw unusable(home, cause);
    const running = await readServerInfo(home);
    const who = running ? ` as process ${running.pid}${running.url ? ` at ${running.url}` : ''}` : '';
    throw failedPrecondition(`Cannot start: Cellar is already running with the home ${home}${who}`, {
      reason: 'already_running',
      hint: 'Stop it with `cellar stop`, or choose another home with `--home`.',
    });
  }
  return {
    publish: async (info) => {
      const temporary = `${paths.server}.tmp`;
      await writeFile(temporary, JSON.stringify(info), { mode: 0o600 });
      await rename(temporary, paths.server);
    },
    release: async () => {
      await rm(paths.server, { force: true });
      database.close();
    },
  };
}

/** True when a server holds the home's lock now. */
export function isHomeLocked(home: string): boolean {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(homePaths(home).lock, { readOnly: true });
    database.exec('pragma busy_timeout = 0; select count(*) from sqlite_schema');
    return false;
  } catch (error) {
    // 14: no such file, so nobody ever started here.
    return (error as { errcode?: number }).errcode === 5;
  } finally {
    database?.close();
  }
}

/** What the server of this home says of itself; undefined when none runs, or it has only just begun. */
export async function readServerInfo(home: string): Promise<ServerInfo | undefined> {
  if (!isHomeLocked(home)) return undefined;
  try {
    return JSON.parse(await readFile(homePaths(home).server, 'utf8')) as ServerInfo;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function makeFolders(home: string): Promise<void> {
  const paths = homePaths(home);
  const sockets = socketFolder(home);
  try {
    for (const folder of [home, paths.run, paths.logs, paths.databases, sockets]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    // Of a folder below the shared temporary one, somebody else could be the owner; of a link to one of ours as well.
    const { uid, mode } = await lstat(sockets);
    if (uid !== (process.getuid?.() ?? uid) || (mode & 0o077) !== 0) {
      throw new Error(`${sockets} is open to others; its mode must be 0700`);
    }
    const probe = `${paths.run}/.probe`;
    await writeFile(probe, '');
    await rm(probe);
  } catch (cause) {
    throw unusable(home, cause);
  }
}

function unusable(home: string, cause: unknown): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const why =
    {
      EACCES: 'it may not be written by this user',
      EPERM: 'it may not be written by this user',
      EROFS: 'its disk is read-only',
      ENOSPC: 'its disk is full',
      ENOTDIR: 'a part of its path is not a folder',
      EEXIST: 'it is not a folder',
    }[code] ?? (cause as Error).message;
  return new Fault(Code.FailedPrecondition, `Cannot use the home ${home}: ${why}`, {
    reason: 'home_unusable',
    hint: 'Choose another with `--home`, or correct its owner and permissions.',
    cause,
  });
}
