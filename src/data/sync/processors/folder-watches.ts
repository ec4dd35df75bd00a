import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename } from 'node:path';
import { inFolder, isWithin, nameOf } from '#lib/tree-path.ts';
import type { DatasourceKind } from '../../plan.ts';
import type { Volume } from '../../volume.ts';
import { isMissing } from '../logic/disk-errors.ts';
import { diskPath } from '../logic/disk-path.ts';
import { isPrivate } from '../logic/private-path.ts';
import { nameText } from '../logic/volume-names.ts';

export interface FolderWatchesOptions {
  readonly root: string;
  readonly kind: DatasourceKind;
  readonly volume: Volume;
  /** Something happened to an entry, `isContent`: to its content only. It may be called often for one path. */
  readonly onChange: (path: string, isContent: boolean) => void;
  /** More happened at once than the system keeps: notifications may be missing. */
  readonly onOverflow: () => void;
  /** No more folders can be watched; `reason` says why. Called once. */
  readonly onLimit: (reason: string) => void;
}

/**
 * Notifications of the operating system, one watch per folder: about a kilobyte each, and none per file. They are set by whoever walks
 * the tree, just before a folder is read, so that there is no gap between reading and watching.
 */
export interface FolderWatches {
  /** Sets a watch unless this very folder has one: another may have taken its place. */
  add(path: string, inode: number): void;
  /** A folder and those in it are gone. */
  remove(path: string): void;
  /** A folder has another path now. A watch follows its folder, so only names change. */
  move(path: string, newPath: string): void;
  clear(): void;
  readonly size: number;
}

interface Watched {
  path: string;
  readonly inode: number;
  readonly watcher: FSWatcher;
  /** It may have lost its folder, whose inode another can have by now. */
  isSuspect: boolean;
}

/** What Linux keeps for a reader that is late; events beyond it are dropped, and Node does not tell. */
const queuedMax = readQueueLimit();
const burstMs = 1000;

export function createFolderWatches({
  root,
  kind: datasourceKind,
  volume,
  onChange,
  onOverflow,
  onLimit,
}: FolderWatchesOptions): FolderWatches {
  const byPath = new Map<string, Watched>();
  let isLimited = false;
  let burst = 0;
  let burstStart = 0;

  const count = (): void => {
    const now = performance.now();
    if (now - burstStart > burstMs) {
      burst = 0;
      burstStart = now;
    }
    burst += 1;
    // A full queue arrives at once. Half of it in a second is the sign that it may have been full.
    if (burst === Math.floor(queuedMax / 2)) onOverflow();
  };

  const heard = (watched: Watched, kind: string, bytes: Buffer | null): void => {
    count();
    const name = bytes && nameText(bytes, volume);
    const path = name === null ? watched.path : inFolder(watched.path, name);
    // A folder that is removed says so under its own name, as a child of that name would.
    if (name === (watched.path === '' ? basename(root) : nameOf(watched.path))) watched.isSuspect = true;
    if (!isPrivate(path, datasourceKind)) onChange(path, kind === 'change');
  };

  const drop = (watched: Watched): void => {
    watched.watcher.close();
    byPath.delete(watched.path);
  };

  return {
    get size() {
      return byPath.size;
    },
    add(path, inode) {
      const known = byPath.get(path);
      if ((known?.inode === inode && !known.isSuspect) || isLimited) return;
      if (known) drop(known);
      try {
        const watched: Watched = {
          path,
          inode,
          isSuspect: false,
          watcher: watch(diskPath(root, path), { persistent: false, encoding: 'buffer' }, (kind, name) =>
            heard(watched, kind, name),
          ),
        };
        watched.watcher.on('error', () => drop(watched));
        byPath.set(path, watched);
      } catch (error) {
        if (isMissing(error) || !isLimit(error)) return;
        isLimited = true;
        onLimit(
          `the system allows no more than ${byPath.size} watched folders; raise fs.inotify.max_user_watches to see changes at once`,
        );
      }
    },
    remove(path) {
      for (const watched of within(byPath, path)) drop(watched);
    },
    move(path, newPath) {
      for (const watched of within(byPath, newPath)) drop(watched);
      for (const watched of within(byPath, path)) {
        byPath.delete(watched.path);
        watched.path = newPath + watched.path.slice(path.length);
        byPath.set(watched.path, watched);
      }
    },
    clear() {
      for (const watched of [...byPath.values()]) drop(watched);
      isLimited = false;
    },
  };
}

function within(byPath: ReadonlyMap<string, Watched>, folder: string): Watched[] {
  return [...byPath.values()].filter(({ path }) => isWithin(path, folder));
}

function isLimit(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EMFILE' || code === 'ENFILE';
}

function readQueueLimit(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8')) || 16_384;
  } catch {
    // Other systems have no such file and no such queue.
    return 16_384;
  }
}
