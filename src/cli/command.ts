import type { Readable, Writable } from 'node:stream';
import type { DescService } from '@bufbuild/protobuf';
import { Command } from 'commander';
import type { Client } from '#kernel/calls/client.ts';
import type { Output } from './output/output.ts';

/**
 * What a file in `commands/` exports. It declares its command (words, options, examples) and stays light: what the command does is
 * loaded by its action with `await import(...)`, so that `cellar --help` and completion stay fast.
 */
export interface CommandModule {
  readonly register: (program: CliCommand, context: CliContext) => void;
}

/** What commands get from the outside. Options are read by the time an action runs, not yet in `register`. */
export interface CliContext {
  readonly input: Input;
  readonly output: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `CELLAR_HOME`: `--home`, else the variable, else `~/.cellar`; absolute. It need not exist. */
  readonly home: string;
  /** True when a person said which home is meant. */
  readonly isHomeGiven: boolean;
  /** `--server` or `CELLAR_SERVER`, without trailing slash. */
  readonly server: string | undefined;
  /** `--token-file`. */
  readonly tokenFile: string | undefined;
  /** `--as`: the user to act as through the local socket. */
  readonly actAs: string | undefined;
  /** Aborts at the first Ctrl-C or SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal;
  /** What the process exits with when no error is thrown; set it for partial failure. */
  exitCode: number;
  /** The way to the server meant: local socket or REST, chosen once. Errors: `unavailable`, `unauthenticated`, with what to do. */
  connect(): Promise<Connection>;
  /**
   * Asks before something that cannot be undone. Returns at once when `isSure` (the command's `--yes`).
   * Errors: `canceled` when the answer is no; `failed_precondition` when there is no terminal to ask on.
   */
  confirm(question: string, isSure: boolean | undefined): Promise<void>;
}

/** Where answers and piped data come from. */
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };
export type Sink = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Connection extends AsyncDisposable {
  /** Where it leads, for messages: `http://127.0.0.1:8080` or `the local server of /home/me/.cellar`. */
  readonly address: string;
  /** The server's folders are this machine's. */
  readonly isSameMachine: boolean;
  client<D extends DescService>(desc: D): Client<D>;
}

/** What the words after a command may be, for completion. */
export type Completion =
  | 'remote-path'
  | 'path'
  | 'local-path'
  | 'datasource'
  | 'user'
  | 'policy'
  | 'service'
  | 'setting'
  | 'host'
  | 'cluster'
  | 'blueprint'
  | 'claim'
  | 'operation'
  | 'webhook'
  | 'none';

/** A command that knows its examples and what its arguments are. */
export class CliCommand extends Command {
  readonly examples: { readonly line: string; readonly meaning: string }[] = [];
  completions: readonly Completion[] = [];
  optionCompletions: Readonly<Record<string, Completion>> = {};

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  /** One line for `--help` and the reference: `cellar ls -l docs`, `What docs holds, with sizes`. */
  example(line: string, meaning: string): this {
    this.examples.push({ line, meaning });
    return this;
  }

  /** Of each argument in order; the last one also of those that follow. */
  completes(...completions: readonly Completion[]): this {
    this.completions = completions;
    return this;
  }
  /** Of the values of options, by their names in TypeScript. */
  completesOptions(completions: Readonly<Record<string, Completion>>): this {
    this.optionCompletions = completions;
    return this;
  }
}
