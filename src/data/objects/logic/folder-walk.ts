import { isSystemError } from '#lib/system-error.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import type { FolderNames } from './folder-names.ts';

/** Goes through the keys below a folder in the order of their UTF-8 bytes; keys that end with `/` are folders. */
export interface FolderWalk {
  /** A promise only where a folder has to be read that takes long: there are a million keys. */
  next(): string | undefined | Promise<string | undefined>;
  /** Leaves out what comes next and starts with `prefix`; folders in there are not read. */
  skip(prefix: string): void;
}

interface Frame {
  readonly folder: string;
  readonly names: readonly string[];
  index: number;
}

/**
 * Walks the keys that start with `prefix` and come after `after`.
 *
 * Reads only folders that can hold such keys, each when the walk reaches it: a page out of the middle of a large tree costs no
 * more than its own folders. A folder that vanishes meanwhile is empty, and so is one whose path is too long to be opened.
 */
export function walkFolder(folderNames: Pick<FolderNames, 'of'>, prefix: string, after: string): FolderWalk {
  const lowest = compareUtf8(after, prefix) > 0 ? after : prefix;
  const stack: Frame[] = [];
  let pending: string | undefined = '';
  let skipped: string | undefined;
  /** A key after `after` was found, and so are all others. */
  let isPast = false;

  /** A promise when the names are not there at once. */
  function enter(folder: string): Promise<void> | undefined {
    const push = (names: readonly string[]): void => {
      const isOnTheWay = lowest.startsWith(folder);
      stack.push({ folder, names, index: isOnTheWay ? firstIndex(names, lowest.slice(folder.length)) : 0 });
    };
    const gone = (error: unknown): void => {
      if (folder === '' || !isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) throw error;
    };
    try {
      const names = folderNames.of(folder === '' ? [] : folder.slice(0, -1).split('/'));
      if (names instanceof Promise) return names.then(push, gone);
      push(names);
    } catch (error) {
      gone(error);
    }
    return undefined;
  }

  function next(): string | undefined | Promise<string | undefined> {
    for (;;) {
      if (pending !== undefined) {
        const folder = pending;
        pending = undefined;
        const entering = isSkipped(folder) ? undefined : enter(folder);
        if (entering) return entering.then(next);
      }
      const frame = stack.at(-1);
      if (!frame) return undefined;
      const name = frame.names[frame.index++];
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const key = frame.folder + name;
      if (isSkipped(key)) continue;
      const isInside = key.startsWith(prefix);
      if (!isInside && !prefix.startsWith(key) && compareUtf8(key, prefix) > 0) {
        stack.length = 0;
        return undefined;
      }
      if (key.endsWith('/') && (isInside || prefix.startsWith(key))) pending = key;
      isPast ||= isInside && compareUtf8(key, after) > 0;
      if (isInside && isPast) return key;
    }
  }

  return {
    next,
    skip(skippedPrefix) {
      skipped = skippedPrefix;
    },
  };

  function isSkipped(key: string): boolean {
    return skipped !== undefined && key.startsWith(skipped);
  }
}

/** Index of the first name that can lead to a key at or after `rest`: the folder that `rest` goes through counts. */
function firstIndex(names: readonly string[], rest: string): number {
  const slash = rest.indexOf('/');
  const name = slash < 0 ? rest : rest.slice(0, slash + 1);
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(names[middle]!, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
