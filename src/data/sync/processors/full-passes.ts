import { Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import type { Keeper, PassOptions } from '../logic/keeper.ts';
import type { PassProgress } from '../logic/pass-progress.ts';

export interface FullPassesOptions {
  readonly keeper: Keeper;
  /** Time between passes that nobody asked for; 0: none. Unit: milliseconds. */
  readonly everyMs: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

export interface FullPasses {
  /** A pass soon, whatever becomes of it. */
  request(): void;
  /** Resolves when a pass that begins after this is done. Errors: why it could not be. */
  run(options: PassOptions): Promise<PassProgress>;
  /** Passes at the start, when requested, when their time has come, and while something is wrong. Ends with the signal. */
  loop(): Promise<void>;
  readonly isRunning: boolean;
  /** Milliseconds since 1970; `undefined` before the first. */
  readonly lastMs: number | undefined;
  /** What the last one skipped. */
  readonly last: PassProgress | undefined;
}

/** How often the folder itself is looked at: a disk that comes, goes, or is replaced is not notified. */
const rootMs = 1000;
const backoff = { firstMs: 200, maxMs: 10_000 };
/** While a person has to decide. */
const blockedBackoff = { firstMs: 10_000, maxMs: 600_000 };
/** Between requested passes at least this many times what the last one took. */
const restShare = 4;

export function createFullPasses({ keeper, everyMs, log, signal, now }: FullPassesOptions): FullPasses {
  const lock = createKeyedLock();
  const bell = createBell();
  let isRequested = true;
  let running = 0;
  let lastMs: number | undefined;
  let last: PassProgress | undefined;

  const run = (options: PassOptions): Promise<PassProgress> => {
    running += 1;
    return lock
      .run('', async () => {
        const progress = await keeper.pass('', options);
        if (!options.isDryRun) {
          lastMs = now();
          last = progress;
        }
        return progress;
      })
      .finally(() => {
        running -= 1;
      });
  };

  async function passOnce(failures: number): Promise<number> {
    const startMs = performance.now();
    const wasBlocked = keeper.blocked;
    try {
      const { seen, created, updated, moved, deleted, skipped } = await run({ signal });
      const durationMs = Math.round(performance.now() - startMs);
      log.info('full pass is done', { seen, created, updated, moved, deleted, skipped, durationMs });
      await rest(Math.min(60_000, durationMs * restShare), signal);
      return 0;
    } catch (error) {
      if (signal.aborted) return 0;
      const fault = Fault.from(error);
      if (failures === 0 && !wasBlocked) log.warn('a full pass was cut off', { error: fault });
      const before = await keeper.root.state();
      // What was wrong may be over at once: a disk is mounted again.
      const patience = AbortSignal.timeout(backoffMs(keeper.blocked ? blockedBackoff : backoff, failures + 1));
      while (!signal.aborted && !patience.aborted && (!keeper.blocked || (await keeper.root.state()) === before))
        await rest(Math.min(rootMs, backoff.firstMs), signal);
      return failures + 1;
    }
  }

  return {
    get isRunning() {
      return running > 0;
    },
    get lastMs() {
      return lastMs;
    },
    get last() {
      return last;
    },
    request() {
      isRequested = true;
      bell.ring();
    },
    run,
    async loop() {
      let failures = 0;
      while (!signal.aborted) {
        const every = everyMs();
        const isDue = every > 0 && lastMs !== undefined && now() - lastMs > every;
        if (isRequested || isDue || keeper.blocked || !keeper.root.isSame()) {
          isRequested = false;
          failures = await passOnce(failures);
          if (failures > 0) isRequested = true;
        } else {
          await bell.wait(rootMs, signal);
        }
      }
    },
  };
}
