import { once } from 'node:events';
import type { Sink } from '../command.ts';
import { createStyle, type Style } from './style.ts';
import { type Column, formatTable } from './table.ts';

export interface OutputOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where a command speaks: data on stdout for programs and people, everything else on stderr. */
export class Output {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** `--json`: data is JSON, errors too. */
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** Colours of stdout; plain when it is no terminal, or `NO_COLOR` is set. */
  readonly style: Style;
  /** Colours of stderr. */
  readonly messageStyle: Style;

  constructor(options: OutputOptions) {
    this.stdout = options.stdout;
    this.stderr = options.stderr;
    this.isJson = options.isJson;
    this.isQuiet = options.isQuiet;
    this.style = createStyle(options.stdout, options.env);
    this.messageStyle = createStyle(options.stderr, options.env);
  }

  /** True when a bar on stderr would be seen by a person. */
  get hasProgress(): boolean {
    return this.stderr.isTTY === true && !this.isQuiet && !this.isJson;
  }

  /** The command's result: JSON with `--json`, else what `human` says. A trailing newline is added. */
  result(json: unknown, human: () => string): void {
    const text = this.isJson ? JSON.stringify(json, plainValue, 2) : human();
    if (text !== '') this.stdout.write(`${text}\n`);
  }

  /** Rows as an aligned table; an array with `--json`. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[], json: readonly unknown[] = rows): void {
    this.result(json, () => formatTable(rows, columns, this.style));
  }

  /** One object per line with `--json`, else what `human` says; for lists without end. */
  line(json: unknown, human: () => string): void {
    this.stdout.write(`${this.isJson ? JSON.stringify(json, plainValue) : human()}\n`);
  }

  /** Data as it is; resolves when there is room for more. */
  async write(data: string | Uint8Array): Promise<void> {
    if (!this.stdout.write(data)) await once(this.stdout, 'drain');
  }

  /** A long list, a page at a time; one array with `--json`. */
  async pages<T>(
    pages: AsyncIterable<readonly T[]>,
    json: (item: T) => unknown,
    human: (page: readonly T[], isFirst: boolean) => string,
  ): Promise<void> {
    let isFirst = true;
    for await (const page of pages) {
      if (page.length === 0) continue;
      if (!this.isJson) await this.write(`${human(page, isFirst)}\n`);
      else
        await this.write(`${isFirst ? '[\n' : ',\n'}${page.map((item) => JSON.stringify(json(item), plainValue)).join(',\n')}`);
      isFirst = false;
    }
    if (this.isJson) await this.write(isFirst ? '[]\n' : '\n]\n');
  }

  /** Tells the person at the terminal something; nothing with `--quiet`. */
  message(text: string): void {
    if (!this.isQuiet) this.stderr.write(`${text}\n`);
  }

  /** Like `message`, but also with `--quiet`. */
  warn(text: string): void {
    this.stderr.write(`${this.messageStyle.yellow('warning:')} ${text}\n`);
  }
}

function plainValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
