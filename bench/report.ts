import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

export type Cell = string | number;

/** A promise about speed, measured. */
export interface Claim {
  /** What is measured, with its unit: `append in batches, events/s`. */
  readonly what: string;
  /** What was promised, in words: `>= 50 000`. */
  readonly target: string;
  readonly measured: Cell;
  readonly holds: boolean;
}

export interface Report {
  /** The first names the case; units belong in the names of the others. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly claims?: readonly Claim[];
}

/** True when only a quick look is wanted (`BENCH_QUICK=1`): fewer and shorter runs, and no promises kept by them. */
export const isQuick = process.env['BENCH_QUICK'] === '1';

/** Prints the table and the claims, and writes `bench/results/<name>.json` with the machine they were measured on. */
export function report(name: string, { columns, rows, claims = [] }: Report): void {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  console.log(
    `\n${name} (${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, node ${machine.node}${isQuick ? ', quick run' : ''})\n`,
  );
  console.log(table(columns, rows));
  for (const { what, target, measured, holds } of claims) {
    console.log(`${holds ? 'holds ' : 'MISSED'}  ${what}: ${text(measured)} (target ${target})`);
  }
  const folder = join(import.meta.dirname, 'results');
  mkdirSync(folder, { recursive: true });
  const content = { name, machine, date: new Date().toISOString(), isQuick, columns, rows, claims };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** The middle value; the mean of the two in the middle when there is an even number. Errors: `RangeError` for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which a share of all lies, `share` between 0 and 1, interpolated. Errors: `RangeError` for no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) throw new RangeError('No values');
  return below + (above - below) * (place - Math.floor(place));
}

/** Text to the left, numbers to the right, columns as wide as their widest cell. */
function table(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [columns, ...rows].map((cells) => cells.map(text));
  const widths = columns.map((_, index) => Math.max(...lines.map((cells) => cells[index]?.length ?? 0)));
  const isNumeric = (index: number): boolean => rows.every((row) => typeof row[index] !== 'string' || row[index] === '');
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (isNumeric(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)))
      .join('  ');
  const [head = [], ...body] = lines;
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...body.map(line), ''].join('\n');
}

/** Numbers with few digits and groups of three: `52 300`, `0.42`. */
function text(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Math.abs(cell) >= 1000) return Math.round(cell).toLocaleString('en').replaceAll(',', ' ');
  return String(Number(cell.toPrecision(3)));
}
