import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
}

/** Rows under their titles, columns aligned, two spaces between. Nothing at all when there are no rows. */
export function formatTable<T>(rows: readonly T[], columns: readonly Column<T>[], style: Style): string {
  if (rows.length === 0) return '';
  const titles = columns.map(({ title }) => title.toUpperCase());
  const cells = rows.map((row) => columns.map(({ value }) => printable(value(row))));
  const widths = columns.map((_, at) => Math.max(...[titles, ...cells].map((line) => width(line[at] ?? ''))));
  const line = (words: readonly string[]): string =>
    words
      .map((word, at) => {
        const room = ' '.repeat((widths[at] ?? 0) - width(word));
        return columns[at]?.isNumber ? room + word : word + room;
      })
      .join('  ')
      .trimEnd();
  return [style.dim(line(titles)), ...cells.map(line)].join('\n');
}

/**
 * Text that cannot steer the terminal: control characters of names are shown as `?`, since files of strangers are listed too.
 * Colour sequences are ours and pass.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replace(/\u001b(?!\[\d{1,3}m)|[\u0000-\u001a\u001c-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** Columns a text takes on a terminal: wide East Asian characters and emoji take two, combining marks none. */
export function width(text: string): number {
  let columns = 0;
  for (const char of stripVTControlCharacters(text)) {
    if (/\p{Mark}|\u200d/u.test(char)) continue;
    columns +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return columns;
}
