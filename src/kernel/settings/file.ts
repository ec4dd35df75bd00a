import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { isSystemError } from '#lib/system-error.ts';
import { failedPrecondition, type Violation } from '../fault.ts';
import { type Given, Source, shown } from './resolve.ts';
import type { Schema } from './schema.ts';

export interface FileSettings {
  readonly given: readonly Given[];
  readonly problems: readonly Violation[];
}

/**
 * Reads `cellar.yaml`; a file that is not there gives nothing.
 * Errors: `failed_precondition` when it cannot be read; mistakes inside it are listed, not thrown.
 */
export async function readSettingsFile(schema: Schema, path: string): Promise<FileSettings> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    if (isSystemError(cause, 'ENOENT')) return { given: [], problems: [] };
    throw failedPrecondition(`Cannot read settings from ${path}: ${(cause as Error).message}`, { cause });
  }
  return parseSettingsFile(schema, content, basename(path));
}

/** `content` is YAML; each value given keeps its line. */
export function parseSettingsFile(schema: Schema, content: string, name: string): FileSettings {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number | undefined): string => `${name} line ${lines.linePos(offset ?? 0).line}`;
  if (document.errors.length > 0) {
    return {
      given: [],
      problems: document.errors.map((error) => ({
        field: name,
        message: `is no YAML: ${error.message} (${lineOf(error.pos[0])})`,
      })),
    };
  }
  const given: Given[] = [];
  const problems: Violation[] = [];
  const root = document.contents;
  if (root === null) return { given, problems };
  if (!isMap(root))
    return { given, problems: [{ field: name, message: `must hold settings such as "log: {level: info}" (${name} line 1)` }] };
  const visit = (node: Node | null, key: string, offset: number | undefined): void => {
    const where = lineOf(offset);
    if (isMap(node) && !schema.find(key) && (key === '' || schema.isPrefix(key))) {
      for (const pair of node.items) {
        const word = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
        const at = isScalar(pair.key) ? pair.key.range?.[0] : offset;
        visit(pair.value as Node | null, key ? `${key}.${word}` : word, at);
      }
    } else if (!schema.find(key) && schema.isPrefix(key)) {
      // `gateway:` with nothing below is an empty section, not a mistake.
      const value = node?.toJSON() ?? null;
      if (value !== null)
        problems.push({ field: key, message: `must be followed by settings, but is ${shown(value)} (${where})` });
    } else {
      const value: unknown = node?.toJSON() ?? null;
      if (value !== null || !schema.find(key)) given.push({ key, value, source: Source.File, where });
    }
  };
  visit(root, '', 0);
  return { given, problems };
}
