import { createHash } from 'node:crypto';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Longest path a Unix socket may have on Linux, without the closing zero. */
const socketPathBytesMax = 107;

/** Places below `CELLAR_HOME`. */
export interface HomePaths {
  readonly home: string;
  /** `cellar.yaml`. */
  readonly settings: string;
  /** Folder of sockets and of what is known about the running server; mode 0700. */
  readonly run: string;
  readonly logs: string;
  readonly log: string;
  readonly audit: string;
  readonly databases: string;
  readonly certificates: string;
  /** What is known of the running server, JSON; see `lock.ts`. */
  readonly server: string;
  readonly lock: string;
  readonly forks: string;
  readonly parents: string;
  readonly firstLogin: string;
}

export function homePaths(home: string): HomePaths {
  return {
    home,
    settings: join(home, 'cellar.yaml'),
    run: join(home, 'run'),
    logs: join(home, 'logs'),
    log: join(home, 'logs', 'cellar.log'),
    audit: join(home, 'logs', 'audit.log'),
    databases: join(home, 'db'),
    certificates: join(home, 'ca'),
    server: join(home, 'run', 'server.json'),
    lock: join(home, 'run', 'lock.db'),
    forks: join(home, 'run', 'forks.json'),
    parents: join(home, 'objects.json'),
    firstLogin: join(home, 'first-login.txt'),
  };
}

/** The files and folders of Cellar itself. Others may lie in its home as well, such as folders it serves. */
export function ownPaths(home: string): readonly string[] {
  const { home: _, ...own } = homePaths(home);
  return [...Object.values(own), join(home, 'services')];
}

/** Folder for everything the installation keeps: what was given, else `CELLAR_HOME`, else `~/.cellar`; absolute. */
export function resolveHome(given: string | undefined, environment: Readonly<Record<string, string | undefined>>): string {
  return resolve(given || environment['CELLAR_HOME'] || join(homedir(), '.cellar'));
}

/**
 * Path of a process's socket: `main`, or a service's name. In `run/` below the home, or, when that would be too long for the
 * system, in a folder of the user's own below the temporary one.
 */
export function socketPath(home: string, name: string, kind: 'rpc' | 'http' = 'rpc'): string {
  const folder = socketFolder(home);
  const file = name.length > 30 ? `${name.slice(-20).replace(/^[^a-z]+/, '')}-${shortHash(name)}` : name;
  return join(folder, `${file}.${kind === 'rpc' ? 'sock' : 'http'}`);
}

/** Folder of the sockets; the one who starts the platform makes it, with mode 0700. */
export function socketFolder(home: string): string {
  const folder = join(home, 'run');
  const longest = Buffer.byteLength(folder) + 1 + 36;
  if (longest <= socketPathBytesMax) return folder;
  return join(tmpdir(), `cellar-${process.getuid?.() ?? 0}-${shortHash(home)}`);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 10);
}
