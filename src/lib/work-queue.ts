/** Keys waiting to be worked on. */
export interface WorkQueue {
  /** Has the key worked on after `delayMs`; of several wishes the earliest counts. While it is worked on, it comes again afterwards. */
  add(key: string, delayMs?: number): void;
  /** Forgets a key that waits; one that is worked on is finished. */
  drop(key: string): void;
  readonly waiting: number;
  readonly running: number;
  /** Resolves when the signal has fired and nothing is worked on any more. */
  run(signal: AbortSignal): Promise<void>;
}

export interface WorkQueueOptions {
  /** Never runs twice at a time for one key. What it throws is its own affair: it must not. */
  readonly work: (key: string) => Promise<void>;
  /** Most keys at a time. */
  readonly concurrency: number;
  /** Keys of one group share a limit of their own, such as clusters of one host. */
  readonly group?: (key: string) => string;
  readonly groupConcurrency?: number;
}

/** A queue of names, not of news: a key is there once, however often it is added, and whoever works on it looks at the present state. */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { work, concurrency, group = () => '', groupConcurrency = Number.POSITIVE_INFINITY } = options;
  const delayed = new Map<string, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  const ready = new Set<string>();
  const running = new Set<string>();
  const runningByGroup = new Map<string, number>();
  const again = new Map<string, number>();
  let isOpen = false;
  let onIdle: (() => void) | undefined;

  const undelay = (key: string): void => {
    clearTimeout(delayed.get(key)?.timer);
    delayed.delete(key);
  };

  function add(key: string, delayMs = 0): void {
    const atMs = performance.now() + delayMs;
    if (running.has(key)) {
      again.set(key, Math.min(again.get(key) ?? Number.POSITIVE_INFINITY, atMs));
      return;
    }
    if (ready.has(key)) return;
    const known = delayed.get(key);
    if (known && known.atMs <= atMs) return;
    undelay(key);
    if (delayMs <= 0) {
      ready.add(key);
      pump();
      return;
    }
    const timer = setTimeout(() => {
      delayed.delete(key);
      ready.add(key);
      pump();
    }, delayMs);
    delayed.set(key, { timer, atMs });
  }

  function pump(): void {
    if (!isOpen) return;
    for (const key of ready) {
      if (running.size >= concurrency) return;
      const name = group(key);
      const inGroup = runningByGroup.get(name) ?? 0;
      if (inGroup >= groupConcurrency) continue;
      ready.delete(key);
      running.add(key);
      runningByGroup.set(name, inGroup + 1);
      void work(key).finally(() => done(key, name));
    }
  }

  function done(key: string, name: string): void {
    running.delete(key);
    const left = (runningByGroup.get(name) ?? 1) - 1;
    if (left > 0) runningByGroup.set(name, left);
    else runningByGroup.delete(name);
    const atMs = again.get(key);
    again.delete(key);
    if (atMs !== undefined) add(key, Math.max(0, atMs - performance.now()));
    if (running.size === 0) onIdle?.();
    pump();
  }

  return {
    add,
    drop(key) {
      undelay(key);
      ready.delete(key);
      again.delete(key);
    },
    get waiting() {
      return ready.size + delayed.size;
    },
    get running() {
      return running.size;
    },
    async run(signal) {
      isOpen = true;
      pump();
      await new Promise<void>((resolve) => {
        const end = (): void => {
          isOpen = false;
          for (const key of [...delayed.keys()]) undelay(key);
          ready.clear();
          if (running.size === 0) resolve();
          else onIdle = resolve;
        };
        if (signal.aborted) end();
        else signal.addEventListener('abort', end, { once: true });
      });
    },
  };
}
