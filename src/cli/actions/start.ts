import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { firstLogin } from '#identity/users/first-login.ts';
import { Code, Fault, failedPrecondition, invalidArgument, unavailable } from '#kernel/fault.ts';
import { readServerInfo, type ServerInfo } from '#kernel/process/lock.ts';
import { homePaths } from '#kernel/process/paths.ts';
import { type Given, Source } from '#kernel/settings/resolve.ts';
import type { CliContext } from '../command.ts';
import { formatDuration } from '../output/format.ts';
import { systemFault } from '../system-fault.ts';
import { logLineText } from './log-line.ts';

export interface StartOptions {
  readonly host?: string;
  readonly port?: string;
  readonly datasource: readonly (readonly [name: string, folder: string])[];
  readonly buckets?: readonly [name: string, folder: string];
  readonly detach?: boolean;
  /** True unless `--no-fork`; a name with `--fork NAME`. */
  readonly fork: boolean | string;
}

/** Starts the server and stays until it is told to stop; with `--detach` returns when it is ready. */
export async function start(context: CliContext, options: StartOptions): Promise<void> {
  if (typeof options.fork === 'string') {
    const [{ runFork }, { catalogue }] = await Promise.all([import('#platform/run-fork.ts'), import('../../catalogue.ts')]);
    runFork(options.fork, catalogue);
    await new Promise(() => undefined);
  } else if (options.detach) await startDetached(context);
  else await startHere(context, options);
}

async function startHere(context: CliContext, options: StartOptions): Promise<void> {
  const { output, home, signal } = context;
  const startTimeMs = Date.now();
  await assertFolders(options);
  const [{ runMain }, { catalogue }] = await Promise.all([import('#platform/run-main.ts'), import('../../catalogue.ts')]);
  const isTerminal = output.stderr.isTTY === true;
  process.title = `cellar start --home ${home}`;
  // Whoever reads the messages may go away; the server stays.
  process.stderr.on('error', () => undefined);
  const main = await runMain({
    home,
    catalogue,
    environment: context.env,
    flags: flagsOf(options),
    isForked: options.fork !== false,
    forkScript: join(import.meta.dirname, '../../fork.ts'),
    ...(output.isQuiet
      ? {}
      : { onLine: (line) => output.stderr.write(isTerminal ? logLineText(line, output.messageStyle) : line) }),
    signal,
  });
  await announce(context, main.url, Date.now() - startTimeMs, main.notReady());
  if (!signal.aborted) await once(signal, 'abort');
  // Another signal while it stops ends the process at once: see `main.ts`.
  await main.stop();
  output.message('Stopped.');
}

/**
 * A folder of the settings may be away for a while, like a disk that is not mounted, and the others are served; one that was just typed
 * must be there. Errors: `failed_precondition`.
 */
async function assertFolders({ datasource, buckets }: StartOptions): Promise<void> {
  if (buckets && datasource.some(([name]) => name === buckets[0])) {
    throw invalidArgument(`Cannot start: "${buckets[0]}" is given as --datasource and as --buckets`, {
      hint: 'Give one another name, such as --buckets NAME=DIR.',
    });
  }
  for (const [name, folder] of buckets ? [...datasource, buckets] : datasource) {
    const found = await stat(folder).catch((error) => systemFault('serve', folder, error));
    if (!(found instanceof Error) && found.isDirectory()) continue;
    const why = found instanceof Error ? found.message.replace(/^.*: /, '') : 'it is not a folder';
    throw failedPrecondition(`Cannot serve ${folder} as "${name}": ${why}`, {
      reason: 'folder_missing',
      hint: 'Make the folder, or give another.',
    });
  }
}

/** Runs the same command again without `--detach`, away from the terminal, and waits until it says that it is ready. */
async function startDetached(context: CliContext): Promise<void> {
  const { home, signal } = context;
  const startTimeMs = Date.now();
  const [node, script, ...args] = process.argv as [string, string, ...string[]];
  const rest = args.filter((word) => word !== '--detach' && word !== '-d' && word !== '--json');
  const child = spawn(node, [...process.execArgv, script, ...rest, '--quiet', '--json'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CELLAR_HOME: home },
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-16_384);
  });
  const ended = new AbortController();
  // `close` comes after the last of its words.
  child.once('close', () => ended.abort());
  child.once('error', () => ended.abort());
  const info = await waitUntilReady(home, child.pid, AbortSignal.any([signal, ended.signal]));
  if (!info) {
    if (signal.aborted) {
      child.kill('SIGTERM');
      throw new Fault(Code.Canceled, 'The server was not started');
    }
    throw faultOf(said);
  }
  child.stderr.destroy();
  child.unref();
  await announce(context, info.url, Date.now() - startTimeMs, info.notReady);
}

async function waitUntilReady(home: string, pid: number | undefined, signal: AbortSignal): Promise<ServerInfo | undefined> {
  while (!signal.aborted) {
    const info = await readServerInfo(home);
    if (info?.isReady && info.pid === pid) return info;
    await new Promise((done) => setTimeout(done, 25));
  }
  return undefined;
}

/** What the process in the background has said before it ended. */
function faultOf(said: string): Fault {
  const line = said
    .trimEnd()
    .split('\n')
    .findLast((candidate) => candidate.startsWith('{"error":'));
  if (!line)
    return unavailable('Cannot start: the server ended before it was ready', {
      hint: said.trim().slice(-500) || '`cellar logs` may say why.',
    });
  const { error } = JSON.parse(line) as {
    error: { code: Code; message: string; reason: string; hint?: string; violations?: [] };
  };
  return new Fault(error.code, error.message, {
    reason: error.reason,
    ...(error.hint ? { hint: error.hint } : {}),
    ...(error.violations ? { violations: error.violations } : {}),
  });
}

async function announce(
  { output, home }: CliContext,
  url: string,
  tookMs: number,
  notReady: readonly { readonly service: string; readonly reason: string }[],
): Promise<void> {
  // A quiet start shows nothing; the first one that is not shows the password.
  const login = output.isQuiet ? undefined : await firstLogin(home);
  const { firstLogin: file } = homePaths(home);
  output.result(
    { url, home, pid: (await readServerInfo(home))?.pid, startMs: tookMs, notReady, ...(login ? { firstLogin: login } : {}) },
    () =>
      [
        `Cellar is ${notReady.length === 0 ? 'ready' : 'running'}${url ? ` at ${output.style.bold(url)}` : ''} (started in ${formatDuration(tookMs)}, home ${home})`,
        ...notReady.map(({ service, reason }) => `${output.style.yellow('not ready:')} ${service}: ${reason}`),
        ...(login
          ? [
              `First login: name ${output.style.bold(login.name)}, password ${output.style.bold(login.password)} (shown this once; kept in ${file})`,
            ]
          : existsSync(file)
            ? [`First login: see ${file}`]
            : []),
      ].join('\n'),
  );
}

function flagsOf({ host, port, datasource, buckets }: StartOptions): Given[] {
  const flag = (key: string, value: string, name: string): Given => ({ key, value, source: Source.Flag, where: `flag ${name}` });
  return [
    ...(host === undefined ? [] : [flag('gateway.host', host, '--host')]),
    ...(port === undefined ? [] : [flag('gateway.port', port, '--port')]),
    ...datasource.map(([name, folder]) => flag(`datasources.${name}.folder`, resolve(folder), '--datasource')),
    ...(buckets === undefined
      ? []
      : [
          flag(`datasources.${buckets[0]}.kind`, 'buckets', '--buckets'),
          flag(`datasources.${buckets[0]}.folder`, resolve(buckets[1]), '--buckets'),
        ]),
  ];
}
