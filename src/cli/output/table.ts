import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
  /** Colours the text; it gets the row too. */
  readonly paint?: (text: string, row: T) => string;
}

/** Rows under their titles, columns aligned, two spaces between. Nothing at all when there are no rows. */
export function formatTable<T>(rows: readonly T[], columns: readonly Column<T>[], style: Style, hasTitles = true): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => columns.map(({ value }) => printable(value(row))));
  const widths = columns.map(({ title }, at) => Math.max(width(title), ...cells.map((line) => width(line[at] ?? ''))));
  const align = (word: string, at: number, painted: string): string => {
    const room = ' '.repeat((widths[at] ?? 0) - width(word));
    if (columns[at]?.isNumber) return room + painted;
    return at === columns.length - 1 ? painted : painted + room;
  };
  const head = columns.map(({ title }, at) => align(title, at, style.dim(title.toUpperCase()))).join('  ');
  const body = rows.map((row, line) =>
    columns.map(({ paint }, at) => {
      const word = cells[line]?.[at] ?? '';
      return align(word, at, paint ? paint(word, row) : word);
    }),
  );
  const lines = body.map((words) => words.join('  '));
  return (hasTitles ? [head, ...lines] : lines).join('\n');
}

/** Names and values in two columns, for showing one thing. */
export function formatFields(fields: Readonly<Record<string, string>>, style: Style): string {
  const names = Object.keys(fields);
  const wide = Math.max(...names.map(width));
  return names.map((name) => `${style.dim(name.padEnd(wide))}  ${printable(fields[name] ?? '')}`).join('\n');
}

/** Text that cannot steer the terminal: control characters become `?`, since names of strangers' files are shown too. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '?');
}

/** Columns a text takes on a terminal: wide East Asian characters and emoji take two, combining marks none. */
export function width(text: string): number {
  const plain = stripVTControlCharacters(text);
  if (/^[\u0020-\u007e]*$/.test(plain)) return plain.length;
  let columns = 0;
  for (const char of plain) {
    if (/\p{Mark}|\u200d/u.test(char)) continue;
    columns += isWide.test(char) ? 2 : 1;
  }
  return columns;
}

const isWide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/u;
