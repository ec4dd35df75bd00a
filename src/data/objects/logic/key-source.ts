import { compareUtf8 } from '#lib/utf8-order.ts';
import type { ListQuery } from '#s3/backend.ts';
import type { FolderWalk } from './folder-walk.ts';

/** Keys in the order of their UTF-8 bytes, each once. */
export interface KeySource {
  /** The next key, the same until it is taken; `undefined` at the end. */
  peek(): string | undefined | Promise<string | undefined>;
  take(): void;
  /** Leaves out what starts with `prefix`, from the next key on. */
  skip(prefix: string): void;
}

/** A key of one or more sources, or a group of keys. */
export interface Candidate {
  readonly key: string;
  readonly isPrefix: boolean;
  /** True when the first source has the key. */
  readonly isFirst: boolean;
}

export function walkSource(walk: FolderWalk): KeySource {
  let pending: string | undefined;
  let isPending = false;
  const hold = (key: string | undefined): string | undefined => {
    pending = key;
    isPending = true;
    return key;
  };
  return {
    peek() {
      if (isPending) return pending;
      const key = walk.next();
      return key instanceof Promise ? key.then(hold) : hold(key);
    },
    take() {
      isPending = false;
    },
    skip(prefix) {
      walk.skip(prefix);
      if (pending?.startsWith(prefix)) isPending = false;
    },
  };
}

/**
 * The next key of several sources, which are asked to go on. A group that comes before `after` was on an earlier page, even when some of
 * its keys come later. `undefined` at the end. `onKey` is told which sources have the key, before they go on.
 */
export function nextCandidate(
  sources: readonly KeySource[],
  query: ListQuery,
  onKey?: (key: string, having: readonly KeySource[]) => void,
): Candidate | undefined | Promise<Candidate | undefined> {
  const { delimiter, prefix, after } = query;
  for (;;) {
    let key: string | undefined;
    for (const source of sources) {
      const next = source.peek();
      // Seldom: a promise for each of a million keys would cost more than the rest.
      if (next instanceof Promise) return next.then(() => nextCandidate(sources, query, onKey));
      if (next !== undefined && (key === undefined || compareUtf8(next, key) < 0)) key = next;
    }
    if (key === undefined) return undefined;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    if (at >= 0) {
      const group = key.slice(0, at + delimiter.length);
      for (const source of sources) source.skip(group);
      if (compareUtf8(group, after) > 0) return { key: group, isPrefix: true, isFirst: false };
      continue;
    }
    const having = sources.length === 1 ? sources : sources.filter((source) => source.peek() === key);
    onKey?.(key, having);
    for (const source of having) source.take();
    return { key, isPrefix: false, isFirst: having[0] === sources[0] };
  }
}
