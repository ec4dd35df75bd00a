export interface RestOptions {
  /** Keeps the process alive meanwhile; the default. */
  readonly isRef?: boolean;
}

/** Waits, or returns early when the signal fires; for loops that look at the signal themselves. */
export async function rest(ms: number, signal: AbortSignal, { isRef = true }: RestOptions = {}): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (!isRef) timer.unref();
    signal.addEventListener('abort', done, { once: true });
  });
}
