import { Lru } from '#lib/lru.ts';
import type { Engine } from './database.ts';

const types: Readonly<Record<Engine, Readonly<Record<string, string>>>> = {
  sqlite: { bytes: 'blob', text: 'text', id: 'integer primary key autoincrement', integer_key: 'integer primary key' },
  postgres: {
    bytes: 'bytea',
    text: 'text collate "C"',
    id: 'bigint generated always as identity primary key',
    integer_key: 'bigint primary key',
  },
};

/**
 * Writes portable schema text in one engine's words. `{bytes}` is a byte string, `{text}` text that sorts by code point on
 * both engines (use it for every column that is compared or ordered), `{id}` a key numbered by the engine, `{integer_key}` an integer key
 * numbered by the caller (on SQLite the row's own place, with no index beside it).
 */
export function dialect(sql: string, engine: Engine): string {
  return sql.replace(/\{(\w+)\}/g, (whole, word: string) => types[engine][word] ?? whole);
}

/**
 * `$1` placeholders as SQLite's; text in quotes and comments stays. Those that come once each and in order, as most do, become `?`, since the
 * driver looks up every numbered one by its name, which takes longer than the statement itself when there are many.
 */
export function sqlitePlaceholders(sql: string): string {
  let count = 0;
  let isInOrder = true;
  const numbered = replacePlaceholders(sql, (number) => {
    count += 1;
    isInOrder &&= Number(number) === count;
    return `?${number}`;
  });
  return isInOrder ? replacePlaceholders(sql, () => '?') : numbered;
}

function replacePlaceholders(sql: string, replace: (number: string) => string): string {
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)/g, (whole, number?: string) =>
    number === undefined ? whole : replace(number),
  );
}

const reads = new Lru<string, boolean>(2000);

/** True for a statement that only reads. Remembers its answers, as it is asked for every statement that runs. */
export function isRead(sql: string): boolean {
  const known = reads.get(sql);
  if (known !== undefined) return known;
  const text = sql.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, '');
  const isReading =
    /^(?:select|values|explain)\b/i.test(text) || (/^with\b/i.test(text) && !/\b(?:insert|update|delete|replace)\b/i.test(text));
  reads.set(sql, isReading);
  return isReading;
}
