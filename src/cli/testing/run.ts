import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Sink } from '../command.ts';
import { runCli } from '../run.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What is piped in; nothing when absent. */
  readonly input?: string;
  /** Stdout and stderr are terminals. */
  readonly isTerminal?: boolean;
}

/** Runs a command line in this process, on pipes of its own. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), new PassThrough()];
  if (options.isTerminal) for (const stream of [stdout, stderr]) Object.assign(stream, { isTTY: true, columns: 100 });
  stdin.end(options.input ?? '');
  const texts = Promise.all([text(stdout), text(stderr)]);
  const exitCode = await runCli(args, {
    stdin,
    stdout: stdout as Sink,
    stderr: stderr as Sink,
    env: { HOME: '/nonexistent', ...options.env },
    signal: new AbortController().signal,
    interruption: () => undefined,
  });
  stdout.end();
  stderr.end();
  const [out, err] = await texts;
  return { exitCode, stdout: out, stderr: err };
}
