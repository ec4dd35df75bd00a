import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cell, Claim } from './report.ts';

interface Result {
  readonly name: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly node: string;
    readonly platform: string;
  };
  readonly date: string;
  readonly isQuick: boolean;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly claims: readonly Claim[];
}

const results = join(import.meta.dirname, 'results');
const page = join(import.meta.dirname, '..', 'docs', 'performance.md');

/** Writes `docs/performance.md` from `bench/results/*.json`: every number on it was measured. */
export function writePerformancePage(): void {
  writeFileSync(
    page,
    performancePage(
      readdirSync(results)
        .toSorted()
        .map((file) => JSON.parse(readFileSync(join(results, file), 'utf8')) as Result),
    ),
  );
}

export function performancePage(all: readonly Result[]): string {
  const claims = all.flatMap((result) =>
    result.claims.map((claim) => [claim.what, claim.target, claim.measured, claim.holds ? 'yes' : '**no**', result.name]),
  );
  const lines = [
    '# Performance',
    '',
    'Made by `npm run bench` from `bench/results/*.json`; do not edit. Machines are noisy and shared, so compare ratios of one run, not figures of two.',
    '',
    '## What was promised',
    '',
    ...table(['what', 'target', 'measured', 'holds', 'benchmark'], claims),
  ];
  for (const { name, machine, date, isQuick, columns, rows } of all) {
    lines.push('', `## ${name}`, '');
    lines.push(
      `${date.slice(0, 10)}, ${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}, ${machine.platform}${isQuick ? '; a quick run' : ''}. Source: \`bench/${name}.ts\`.`,
      '',
    );
    lines.push(...table(columns, rows));
  }
  return `${lines.join('\n')}\n`;
}

function table(columns: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const isNumeric = (index: number): boolean => rows.length > 0 && rows.every((row) => typeof row[index] === 'number');
  const line = (cells: readonly Cell[]): string => `| ${cells.map(text).join(' | ')} |`;
  return [line(columns), `|${columns.map((_, index) => (isNumeric(index) ? '---:' : '---')).join('|')}|`, ...rows.map(line)];
}

function text(cell: Cell): string {
  if (typeof cell === 'string') return cell.replaceAll('|', '\\|');
  if (Math.abs(cell) >= 1000) return Math.round(cell).toLocaleString('en').replaceAll(',', ' ');
  return String(Number(cell.toPrecision(3)));
}

if (import.meta.main) writePerformancePage();
