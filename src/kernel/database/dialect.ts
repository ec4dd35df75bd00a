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

/** `$1` placeholders as SQLite's `?1`; text in quotes and comments stays. */
export function sqlitePlaceholders(sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$(\d+)/g, (whole, number?: string) =>
    number === undefined ? whole : `?${number}`,
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
