import { namePattern } from '#lib/name-pattern.ts';
import { nameOf } from '#lib/tree-path.ts';
import type { StoredNode } from '../store/store.ts';

/** Lets through what fits all that is given. */
export interface NodeFilter {
  readonly kind?: 'file' | 'folder' | undefined;
  /** See `namePattern`; empty: any. */
  readonly pattern?: string;
  readonly ignoreCase?: boolean;
  /** Folders have no size and do not pass a bound of it. Unit: bytes, both included. */
  readonly sizeMin?: number | undefined;
  readonly sizeMax?: number | undefined;
  /** Microseconds since 1970; the first is included, the last is not. */
  readonly fromUs?: number | undefined;
  readonly beforeUs?: number | undefined;
}

/** The filter as a test, or `undefined` when everything passes. */
export function nodeTest(filter: NodeFilter): ((node: StoredNode) => boolean) | undefined {
  const { kind, pattern, ignoreCase = false, sizeMin, sizeMax, fromUs, beforeUs } = filter;
  const tests: ((node: StoredNode) => boolean)[] = [];
  if (kind) tests.push(({ isFolder }) => isFolder === (kind === 'folder'));
  if (sizeMin !== undefined) tests.push(({ isFolder, sizeBytes }) => !isFolder && sizeBytes >= sizeMin);
  if (sizeMax !== undefined) tests.push(({ isFolder, sizeBytes }) => !isFolder && sizeBytes <= sizeMax);
  if (fromUs !== undefined) tests.push(({ mtimeUs }) => mtimeUs >= fromUs);
  if (beforeUs !== undefined) tests.push(({ mtimeUs }) => mtimeUs < beforeUs);
  if (pattern) {
    const matches = namePattern(pattern, { ignoreCase });
    tests.push(({ path }) => matches(nameOf(path)));
  }
  return tests.length === 0 ? undefined : (node) => tests.every((passes) => passes(node));
}
