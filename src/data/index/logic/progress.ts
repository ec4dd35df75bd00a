import { Fault } from '#kernel/fault.ts';

export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** Tells how far work has come while it goes on elsewhere. */
export class ProgressReport {
  total = 0;
  #done = 0;
  #isOver = false;
  #news = Promise.withResolvers<void>();

  /** Counts rows as they pass. Errors: the signal's reason. */
  async *follow<T extends { readonly rows: readonly unknown[] }>(
    pieces: AsyncIterable<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T> {
    this.#done = 0;
    for await (const piece of pieces) {
      if (signal.aborted) throw Fault.from(signal.reason);
      yield piece;
      this.#done += piece.rows.length;
      this.#news.resolve();
    }
  }

  /** The work has ended, well or not. */
  readonly end = (): void => {
    this.#isOver = true;
    this.#news.resolve();
  };

  /** Until the work ends; a slow reader misses some. */
  async *reports(): AsyncGenerator<Progress> {
    while (!this.#isOver) {
      await this.#news.promise;
      this.#news = Promise.withResolvers();
      yield { done: this.#done, total: this.total };
    }
  }
}
