import type { Log } from '#kernel/log.ts';
import { backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import { commonFolder } from '#lib/tree-path.ts';
import type { Keeper } from '../logic/keeper.ts';

export interface NotificationsOptions {
  readonly keeper: Pick<Keeper, 'examine'>;
  readonly isPaused: () => boolean;
  /** Resolves when what storage itself has done until now was taken in: it says more of a change than a notification of the same. */
  readonly whenTold?: () => Promise<void>;
  /** Asks for a pass over a folder soon, when there was too much to follow. */
  readonly onFlood: (folder: string) => void;
  /** True for a path that a pass will see which has not begun: nobody has to remember it. Default: none is. */
  readonly isCovered?: (path: string) => boolean;
  /** Beyond this many waiting paths a pass is cheaper than to remember them and to look at each. */
  readonly waitingMax?: number;
  readonly batchMax?: number;
  /** A folder that is named came or was replaced, so what is in it is compared. Default: true. */
  readonly areFoldersNew?: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Collects the paths that notifications name. */
export interface Notifications {
  /** `isContent`: only the content of what is there has changed; otherwise something came or went. */
  changed(path: string, isContent: boolean): void;
  /** Nothing waits any more: all is going to be compared. */
  forget(): void;
  /** A pause has ended. */
  wake(): void;
  /** Looks at what was named until the signal fires. */
  run(): Promise<void>;
  /** Paths that have not been looked at yet. */
  readonly waiting: number;
}

interface Waiting {
  readonly firstMs: number;
  /** When its content was written last; long ago when something else has happened since. */
  writtenMs: number;
}

/** How long after the first notification: long enough that our own writes are told by their service first. */
const delayMs = 100;
/** A file is still being written while notifications of its content come closer than this; then it waits, but no longer than the second. */
const settleMs = 150;
const settleMsMax = 2000;
const backoff = { firstMs: 100, maxMs: 5000 };

export function createNotifications(options: NotificationsOptions): Notifications {
  const { keeper, isPaused, whenTold, onFlood, isCovered = () => false, log, signal } = options;
  const { waitingMax = 50_000, batchMax = 2000, areFoldersNew = true } = options;
  const waiting = new Map<string, Waiting>();
  const bell = createBell();

  const takeDue = (): string[] => {
    const now = performance.now();
    const due: string[] = [];
    for (const [path, { firstMs, writtenMs }] of waiting) {
      if (now - writtenMs < settleMs && now - firstMs < settleMsMax) continue;
      due.push(path);
      waiting.delete(path);
      if (due.length >= batchMax) break;
    }
    return due;
  };

  const changed = (path: string, isContent: boolean): void => {
    const nowMs = performance.now();
    const writtenMs = isContent ? nowMs : Number.NEGATIVE_INFINITY;
    const known = waiting.get(path);
    if (known) {
      known.writtenMs = writtenMs;
      return;
    }
    if (isCovered(path)) return;
    if (waiting.size >= waitingMax) {
      const folder = commonFolder([...waiting.keys(), path]);
      waiting.clear();
      onFlood(folder);
      if (isCovered(path)) return;
    }
    waiting.set(path, { firstMs: nowMs, writtenMs });
    if (waiting.size === 1) bell.ring();
  };

  return {
    get waiting() {
      return waiting.size;
    },
    changed,
    forget: () => waiting.clear(),
    wake: () => bell.ring(),
    async run() {
      let failures = 0;
      while (!signal.aborted) {
        if (waiting.size === 0 || isPaused()) await bell.wait(60_000, signal);
        await rest(delayMs, signal);
        if (isPaused()) continue;
        const due = takeDue();
        if (due.length === 0 || signal.aborted) continue;
        try {
          await whenTold?.();
          await keeper.examine({ paths: due, areFoldersNew });
          failures = 0;
        } catch (error) {
          if (signal.aborted) return;
          for (const path of due) changed(path, false);
          if (failures === 0) log.warn('changes by others cannot be taken in now', { error });
          failures += 1;
          await rest(backoffMs(backoff, failures), signal);
        }
      }
    },
  };
}
