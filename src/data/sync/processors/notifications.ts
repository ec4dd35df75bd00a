import type { Log } from '#kernel/log.ts';
import { backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import type { Keeper } from '../logic/keeper.ts';

export interface NotificationsOptions {
  readonly keeper: Keeper;
  /** Asks for a full pass soon, when there was too much to follow. */
  readonly onFlood: () => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Collects the paths that notifications name. */
export interface Notifications {
  /** `isContent`: only the content of what is there has changed; otherwise something came or went. */
  changed(path: string, isContent: boolean): void;
  /** Looks at what was named until the signal fires. */
  run(): Promise<void>;
}

/** How long after the first notification: long enough that our own writes are told by their service first. */
const delayMs = 100;
/** A file that keeps changing is looked at this often. */
const againMs = 500;
const batchMax = 2000;
/** Beyond this many waiting paths a full pass is cheaper than to remember them. */
const waitingMax = 50_000;
const backoff = { firstMs: 100, maxMs: 5000 };

export function createNotifications({ keeper, onFlood, log, signal }: NotificationsOptions): Notifications {
  /** Paths, and whether only their content has changed. */
  const waiting = new Map<string, boolean>();
  /** When a path was looked at last. */
  const lookedAt = new Map<string, number>();
  const bell = createBell();

  const takeDue = (): string[] => {
    const now = performance.now();
    for (const [path, at] of lookedAt) if (now - at > againMs) lookedAt.delete(path);
    const due: string[] = [];
    for (const [path, isContent] of waiting) {
      if (isContent && lookedAt.has(path)) continue;
      due.push(path);
      waiting.delete(path);
      if (due.length >= batchMax) break;
    }
    return due;
  };

  return {
    changed(path, isContent) {
      if (waiting.size >= waitingMax) {
        waiting.clear();
        onFlood();
      }
      waiting.set(path, isContent && (waiting.get(path) ?? true));
      if (waiting.size === 1) bell.ring();
    },
    async run() {
      let failures = 0;
      while (!signal.aborted) {
        if (waiting.size === 0) await bell.wait(60_000, signal);
        await rest(delayMs, signal);
        const due = takeDue();
        if (due.length === 0 || signal.aborted) continue;
        try {
          await keeper.examine({ paths: due, areFoldersNew: true });
          failures = 0;
          for (const path of due) lookedAt.set(path, performance.now());
        } catch (error) {
          if (signal.aborted) return;
          for (const path of due) waiting.set(path, false);
          if (failures === 0) log.warn('changes on the disk cannot be taken in now', { error });
          failures += 1;
          await rest(backoffMs(backoff, failures), signal);
        }
      }
    },
  };
}
