import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The command as a user of a clone has it. */
export const command = join(import.meta.dirname, '..', 'bin', 'cellar');

/** How long a start may take on a busy machine. Unit: milliseconds. */
const startMsMax = 60_000;

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Default 60 s. Unit: milliseconds. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

export interface ProductOptions {
  /** All services in one process. */
  readonly isOneProcess?: boolean;
  /** Names of the datasources; a folder is made for each. Default: `docs` and `media`. */
  readonly datasources?: readonly string[];
  /** More words for `cellar start`. */
  readonly args?: readonly string[];
  /** Settings, as `CELLAR_...`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Folders that lie elsewhere, by datasource; whoever made them removes them. */
  readonly folders?: Readonly<Record<string, string>>;
  /** The home, when it lies elsewhere; whoever made its parent removes it. */
  readonly home?: string;
  /** The user the product runs as, by number, where permissions of files matter: those of the superuser are never refused. Only for root. */
  readonly user?: number;
}

/** The product, started as a user starts it; ends with `await using`. All it tells are addresses and credentials. */
export interface Product extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly home: string;
  /** A folder for what the test needs; removed at the end. */
  readonly tmp: string;
  readonly pid: () => number;
  /** Folder of a datasource. */
  folder(datasource: string): string;
  /** Runs `cellar ARGS` against this product, in an account of its own. */
  cli(...args: readonly string[]): Promise<CommandResult>;
  cliWith(options: CommandOptions, ...args: readonly string[]): Promise<CommandResult>;
  /** Same, and its JSON. Errors: when the command fails. */
  json<T>(...args: readonly string[]): Promise<T>;
  /** `METHOD path` with a token of the administrator. */
  rest(method: string, path: string, init?: RestInit): Promise<Response>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** What it has written to its standard error and log. */
  logs(): string;
}

export interface RestInit {
  readonly json?: unknown;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: one of the administrator's; null: none. */
  readonly token?: string | null;
  readonly signal?: AbortSignal;
}

/**
 * Starts the product in new folders and waits until `/health/ready` says so.
 * Errors: with its log, when it ends or is not ready in time; nothing is left then.
 */
export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const root = mkdtempSync(join(tmpdir(), 'cellar-acceptance-'));
  const home = options.home ?? join(root, 'home');
  const tmp = join(root, 'tmp');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const names = options.datasources ?? ['docs', 'media'];
  const folder = (datasource: string): string => options.folders?.[datasource] ?? join(root, 'data', datasource);
  const { user } = options;
  for (const path of [tmp, ...names.map(folder)]) mkdirSync(path, { recursive: true });
  if (user !== undefined) for (const path of [root, tmp, ...names.map(folder)]) chownSync(path, user, user);
  const accountEnv = { HOME: join(root, 'account'), XDG_CONFIG_HOME: join(root, 'account', '.config') };

  let child: ChildProcess | undefined;
  let errors = '';
  let token: string | undefined;

  const logs = (): string => {
    const file = join(home, 'logs', 'cellar.log');
    return `${errors}\n${existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-60).join('\n') : ''}`;
  };
  const start = async (): Promise<void> => {
    const args = ['start', '--home', home, '--port', String(port), ...(options.isOneProcess ? ['--no-fork'] : [])];
    args.push(...names.flatMap((name) => ['--datasource', `${name}=${folder(name)}`]), ...(options.args ?? []));
    const started = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...accountEnv, ...options.env },
      ...(user === undefined ? {} : { uid: user, gid: user }),
    });
    child = started;
    started.stderr?.on('data', (data) => {
      errors = (errors + data).slice(-20_000);
    });
    await waitUntil(
      async () => {
        if (started.exitCode !== null || started.signalCode !== null)
          throw new Error(`The product ended at its start:\n${logs()}`);
        return await isReady(url);
      },
      startMsMax,
      () => `The product was not ready in time:\n${logs()}`,
    );
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGTERM');
    const patience = new AbortController();
    const isStopped = await Promise.race([
      exited.then(() => true),
      sleep(20_000, false, { signal: patience.signal }).catch(() => false),
    ]);
    patience.abort();
    if (isStopped) return;
    running.kill('SIGKILL');
    await exited;
    throw new Error(`The product did not stop within 20 s and was killed:\n${logs()}`);
  };
  const cliWith: Product['cliWith'] = async (given, ...args) =>
    await run([...args, '--home', home], { cwd: tmp, ...given, env: { ...accountEnv, ...given.env } });
  const cli: Product['cli'] = async (...args) => await cliWith({}, ...args);
  const json = async <T>(...args: readonly string[]): Promise<T> => {
    const { exitCode, stdout, stderr } = await cli(...args, '--json');
    if (exitCode !== 0) throw new Error(`cellar ${args.join(' ')} failed with ${exitCode}: ${stderr}`);
    return JSON.parse(stdout) as T;
  };
  const rest: Product['rest'] = async (method, path, init = {}) => {
    if (init.token === undefined) token ??= (await json<{ token: string }>('token', 'create', 'acceptance')).token;
    const bearer = init.token === undefined ? token : init.token;
    return await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
        ...(init.json === undefined ? {} : { 'content-type': 'application/json' }),
        ...init.headers,
      },
      ...(init.json === undefined
        ? init.body === undefined
          ? {}
          : { body: init.body as string }
        : { body: JSON.stringify(init.json) }),
      signal: init.signal ?? AbortSignal.timeout(30_000),
    });
  };
  const product: Product = {
    url,
    home,
    tmp,
    pid: () => child?.pid ?? 0,
    folder,
    cli,
    cliWith,
    json,
    rest,
    start,
    stop,
    logs,
    [Symbol.asyncDispose]: async () => {
      try {
        await stop();
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    },
  };
  try {
    await start();
  } catch (error) {
    await Promise.allSettled([product[Symbol.asyncDispose]()]);
    throw error;
  }
  return product;
}

/** Runs `cellar ARGS` to its end; kills it after its time. */
export async function run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const env = { PATH, ...(NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {}), ...options.env };
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  const child = execFile(
    command,
    args,
    {
      env,
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      maxBuffer: 256 * 1024 * 1024,
      ...(options.cwd ? { cwd: options.cwd } : {}),
    },
    (error, stdout, stderr) => {
      const code = error && typeof error.code === 'number' ? error.code : error ? -1 : 0;
      resolve({ exitCode: code, stdout, stderr });
    },
  );
  // One that ends before it has read all is judged by its exit code.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  return await promise;
}

/** Asks until the answer is yes. Errors: after `timeoutMs`, with what `why` says. */
export async function waitUntil(isSo: () => boolean | Promise<boolean>, timeoutMs: number, why?: () => string): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(why?.() ?? `Still not so after ${timeoutMs} ms: ${isSo}`);
    await sleep(20);
  }
}

export async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false; // Nobody listens yet.
  }
}

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free port');
  return address.port;
}
