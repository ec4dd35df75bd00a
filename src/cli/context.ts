import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Code, Fault, failedPrecondition } from '#kernel/fault.ts';
import type { CliContext, Connection, Input, Sink } from './command.ts';
import { Output } from './output/output.ts';

/** What a run of the command is given from outside; tests give their own. */
export interface Surface {
  readonly stdin: Input;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Options every command has. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly home?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly as?: string;
}

/** A context whose options are known only when the command line has been read: `configure` is called before any action. */
export class Context implements CliContext {
  readonly input: Input;
  readonly env: Surface['env'];
  readonly signal: AbortSignal;
  exitCode = 0;
  readonly #surface: Surface;
  #options: GlobalOptions = {};
  #output: Output | undefined;
  #connection: Promise<Connection> | undefined;

  constructor(surface: Surface) {
    this.#surface = surface;
    this.input = surface.stdin;
    this.env = surface.env;
    this.signal = surface.signal;
  }

  configure(options: GlobalOptions): void {
    this.#options = options;
    this.#output = undefined;
  }

  get output(): Output {
    const { stdout, stderr, env } = this.#surface;
    const { json: isJson = false, quiet: isQuiet = false } = this.#options;
    this.#output ??= new Output({ stdout, stderr, env, isJson, isQuiet });
    return this.#output;
  }

  get isHomeGiven(): boolean {
    return Boolean(this.#options.home || this.env['CELLAR_HOME']);
  }

  get home(): string {
    return resolve(this.#options.home || this.env['CELLAR_HOME'] || join(this.env['HOME'] || homedir(), '.cellar'));
  }

  get server(): string | undefined {
    const given = this.#options.server || this.env['CELLAR_SERVER'];
    return given ? parseServer(given) : undefined;
  }

  get tokenFile(): string | undefined {
    return this.#options.tokenFile;
  }

  get actAs(): string | undefined {
    return this.#options.as;
  }

  connect(): Promise<Connection> {
    this.#connection ??= import('./connection/connect.ts').then(({ connect }) => connect(this));
    return this.#connection;
  }

  async confirm(question: string, isSure: boolean | undefined): Promise<void> {
    if (isSure) return;
    if (this.input.isTTY !== true) {
      throw failedPrecondition('Nothing was done: this asks for confirmation, and there is no terminal to ask on', {
        reason: 'confirmation_needed',
        hint: 'Add --yes when you are sure.',
      });
    }
    const { ask } = await import('./prompt.ts');
    const answer = await ask(this.input, this.output, { text: `${question} [y/N] `, signal: this.signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new Fault(Code.Canceled, 'Nothing was done');
  }

  /** Lets connections go, so that nothing keeps the process. */
  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    await connection?.[Symbol.asyncDispose]();
  }
}

/** `host:port`, `http://host:port/` and the like as an address without trailing slash. Errors: `invalid_argument`. */
export function parseServer(text: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (!url?.hostname || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new Fault(
      Code.InvalidArgument,
      `Cannot use "${redact(text)}" as a server: it is not an address such as https://cloud.example`,
      {
        hint: 'Give the scheme, the host and the port; credentials go into CELLAR_TOKEN or "cellar login".',
      },
    );
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function redact(text: string): string {
  return text.replace(/\/\/[^@/]*@/, '//***@');
}
