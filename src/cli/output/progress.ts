import { formatBytes, formatDuration } from './format.ts';
import type { Output } from './output.ts';
import { printable, width } from './table.ts';

/** How often the line is drawn. Unit: milliseconds. */
const drawMs = 100;
/** How often a line is written instead. Unit: milliseconds. */
const lineMs = 5000;

export interface ProgressState {
  readonly done: number;
  /** Absent while nobody knows. */
  readonly total?: number | undefined;
  /** Said after the bar. */
  readonly text: string;
}

/** A line on stderr that is drawn over and over and gone at the end; with `hasLines` a line now and then where that cannot be. */
export interface Progress extends Disposable {
  set(state: ProgressState): void;
}

export function createProgress(output: Output, title: string, { hasLines = false } = {}): Progress {
  if (!output.hasProgress) {
    if (hasLines && !output.isJson) return createLines(output, title);
    return { set: () => undefined, [Symbol.dispose]: () => undefined };
  }
  const { stderr } = output;
  let state: ProgressState = { done: 0, text: '' };
  let isOver = false;
  const draw = (): void => {
    stderr.write(`\r\u001b[K${renderProgress(title, state, stderr.columns || 80)}`);
  };
  const clear = (): void => {
    stderr.write('\r\u001b[K');
  };
  const timer = setInterval(draw, drawMs).unref();
  return {
    set: (next) => {
      state = next;
    },
    [Symbol.dispose]: () => {
      if (isOver) return;
      isOver = true;
      clearInterval(timer);
      clear();
    },
  };
}

/** For logs and pipes. */
function createLines(output: Output, title: string): Progress {
  let state: ProgressState | undefined;
  const timer = setInterval(() => {
    if (!state) return;
    const { done, total, text } = state;
    const share = total ? `${Math.floor((done / total) * 100)}%, ` : '';
    output.message(printable(`${title}: ${share}${text}`));
  }, lineMs).unref();
  return {
    set: (next) => {
      state = next;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/** `Copying [=====>    ]  52%  12 of 30 files, 3.1 MiB/s`, in at most `columns` columns. */
export function renderProgress(title: string, { done, total, text }: ProgressState, columns: number): string {
  const share = total ? Math.min(1, done / total) : undefined;
  const cells = Math.max(8, Math.min(30, columns - width(title) - width(text) - 14));
  const filled = share === undefined ? 0 : Math.round(share * cells);
  const bar = `[${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? '>' : ''}${' '.repeat(cells - filled)}]`;
  const percent = share === undefined ? '' : `${bar} ${String(Math.floor(share * 100)).padStart(3)}%  `;
  const line = printable(`${title} ${percent}${text}`);
  return width(line) < columns ? line : `${[...line].slice(0, Math.max(0, columns - 2)).join('')}…`;
}

/** Bytes per second over the last seconds, and how long the rest takes at that rate. */
export class Rate {
  readonly #now: () => number;
  readonly #windowMs = 5000;
  #samples: { readonly atMs: number; readonly bytes: number }[];

  /** `now`: milliseconds on any clock that only goes forward. */
  constructor(now: () => number) {
    this.#now = now;
    this.#samples = [{ atMs: now(), bytes: 0 }];
  }

  /** Call with the bytes done so far; returns bytes per second. */
  add(bytes: number): number {
    const atMs = this.#now();
    const last = this.#samples.at(-1);
    if (!last || atMs - last.atMs >= 100) this.#samples.push({ atMs, bytes });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) > this.#windowMs) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || atMs <= first.atMs) return 0;
    return ((bytes - first.bytes) * 1000) / (atMs - first.atMs);
  }
}

/** `3.1 MiB/s, 12 s left`. Units: bytes, bytes per second. */
export function describeRate(rate: number, left: number | undefined): string {
  const rest = left !== undefined && rate > 0 ? `, ${formatDuration((left / rate) * 1000)} left` : '';
  return `${formatBytes(rate)}/s${rest}`;
}
