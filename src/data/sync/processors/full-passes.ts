import { Fault, failedPrecondition } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import { commonFolder, inFolder, isWithin } from '#lib/tree-path.ts';
import type { Keeper, PassOptions } from '../logic/keeper.ts';
import { PassProgress } from '../logic/pass-progress.ts';
import type { Pausing } from '../logic/pausing.ts';

export interface FullPassesOptions {
  readonly keeper: Pick<Keeper, 'pass' | 'passBranch' | 'blocked' | 'isSame' | 'state'>;
  /** Time between passes that nobody asked for; 0: none. Unit: milliseconds. */
  readonly everyMs: () => number;
  readonly pausing: Pick<Pausing, 'current' | 'signal'>;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

export interface FullPasses {
  /** A pass over a folder and all below soon, whatever becomes of it; the empty path is everything. */
  request(folder?: string): void;
  /** True while a pass over the path was requested and has not begun. */
  isRequested(path: string): boolean;
  /** Resolves when a pass that begins after this is done. Errors: why it could not be; `failed_precondition` with reason `paused`. */
  run(progress: PassProgress, options: Omit<PassOptions, 'progress'>): Promise<PassProgress>;
  /** A pass over everything that waits for the end of a pause. */
  runWhenResumed(signal: AbortSignal): Promise<void>;
  /** Passes at the start, when requested, when their time has come, and while something is wrong; none while paused. Ends with the signal. */
  loop(): Promise<void>;
  /** Of the pass that is under way or waits for it. */
  readonly running: PassProgress | undefined;
  /** Of everything: the last that was done. */
  readonly last: DonePass | undefined;
}

export interface DonePass {
  readonly progress: PassProgress;
  /** Milliseconds since 1970. */
  readonly endMs: number;
  readonly durationMs: number;
}

/** How often the folder itself is looked at: a disk that comes, goes, or is replaced is not notified. */
const rootMs = 1000;
const backoff = { firstMs: 200, maxMs: 10_000 };
/** While a person has to decide. */
const blockedBackoff = { firstMs: 10_000, maxMs: 600_000 };
/** Between requested passes at least this many times what the last one took. */
const restShare = 4;

export function createFullPasses({ keeper, everyMs, pausing, log, signal, now }: FullPassesOptions): FullPasses {
  const isPaused = (): boolean => pausing.current !== undefined;
  const lock = createKeyedLock();
  const bell = createBell();
  const running: PassProgress[] = [];
  /** The folder to pass over; empty: everything. */
  let requested: string | undefined = '';
  let last: DonePass | undefined;
  /** Unit: monotonic milliseconds, since clocks of the wall are set now and then. */
  let lastStartMs: number | undefined;

  async function run(progress: PassProgress, options: Omit<PassOptions, 'progress'>): Promise<PassProgress> {
    running.push(progress);
    try {
      return await lock.run('', async () => {
        if (isPaused() && !progress.isDryRun)
          throw failedPrecondition('Cannot compare: sync is paused', {
            reason: 'paused',
            hint: 'Resume it; what was missed is found then.',
          });
        const startMs = performance.now();
        if (progress.path !== '') return await keeper.passBranch(progress.path, { ...options, progress });
        await keeper.pass('', { ...options, progress });
        if (!progress.isDryRun) {
          lastStartMs = startMs;
          last = { progress, endMs: now(), durationMs: Math.round(performance.now() - startMs) };
        }
        return progress;
      });
    } catch (error) {
      throw isPaused() && !progress.isDryRun && !options.signal?.aborted ? paused() : error;
    } finally {
      running.splice(running.indexOf(progress), 1);
    }
  }

  async function passOnce(folder: string, failures: number): Promise<number> {
    const startMs = performance.now();
    const wasBlocked = keeper.blocked;
    try {
      const progress = await run(new PassProgress({ path: folder }), { signal });
      const { seen, created, updated, moved, deleted, skippedCount: skipped } = progress;
      const durationMs = Math.round(performance.now() - startMs);
      log.info('full pass is done', { folder, seen, created, updated, moved, deleted, skipped, durationMs });
      await rest(Math.min(60_000, durationMs * restShare), signal);
      return 0;
    } catch (error) {
      if (signal.aborted || isPaused()) return 0;
      const fault = Fault.from(error);
      if (failures === 0 && !wasBlocked) log.warn('a full pass was cut off', { error: fault });
      const before = await keeper.state();
      // What was wrong may be over at once: a disk is mounted again.
      const patience = AbortSignal.timeout(backoffMs(keeper.blocked ? blockedBackoff : backoff, failures + 1));
      while (!signal.aborted && !patience.aborted && (!keeper.blocked || (await keeper.state()) === before))
        await rest(Math.min(rootMs, backoff.firstMs), signal);
      return failures + 1;
    }
  }

  return {
    get running() {
      return running[0];
    },
    get last() {
      return last;
    },
    request(folder = '') {
      requested = requested === undefined ? folder : commonFolder([inFolder(requested, 'x'), inFolder(folder, 'x')]);
      bell.ring();
    },
    isRequested: (path) => requested !== undefined && isWithin(path, requested),
    run,
    async runWhenResumed(passSignal) {
      while (isPaused() && !passSignal.aborted) await rest(rootMs, passSignal);
      await run(new PassProgress(), { signal: passSignal });
    },
    async loop() {
      let failures = 0;
      while (!signal.aborted) {
        const every = everyMs();
        const isDue = every > 0 && lastStartMs !== undefined && performance.now() - lastStartMs > every;
        if (!isPaused() && (requested !== undefined || isDue || keeper.blocked || !keeper.isSame())) {
          // After a failure, and when something is wrong with the folder, nothing less than everything will do.
          const folder = failures > 0 || isDue || keeper.blocked || !keeper.isSame() ? '' : (requested ?? '');
          requested = undefined;
          failures = await passOnce(folder, failures);
          if (failures > 0) requested = '';
        } else {
          await bell.wait(rootMs, signal);
        }
      }
    },
  };
}

function paused(): Fault {
  return failedPrecondition('Cannot compare: sync is paused', {
    reason: 'paused',
    hint: 'Resume it; what was missed is found then.',
  });
}
