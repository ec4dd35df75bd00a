import type { Message } from '@bufbuild/protobuf';

/** How far a stream's producer may be ahead of its consumer. Unit: bytes, each message costing some more than its size. */
export const windowBytes = 1024 * 1024;
const messageCostBytes = 512;

export function costOf(messageBytes: number): number {
  return messageBytes + messageCostBytes;
}

/** What may still be sent on a stream. A message may be sent while anything is left, so one is never too large. */
export class Credit {
  #left = windowBytes;
  #isStopped = false;
  #wake: (() => void) | undefined;
  /** Called once when the stream ends before its producer does. */
  onStop: (() => void) | undefined;

  get hasLeft(): boolean {
    return this.#left > 0;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  spend(messageBytes: number): void {
    this.#left -= costOf(messageBytes);
  }

  grant(bytes: number): void {
    this.#left += bytes;
    if (this.#left > 0) this.#awake();
  }

  /** Nothing more is to be sent. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#awake();
    this.onStop?.();
  }

  /** Resolves when something is left, or the stream has ended. */
  more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/**
 * Sends what `messages` yields, reading it only while there is credit. Result: false when the stream was stopped first.
 * Errors: those of `messages` and of `send`; the producer is then told to end.
 */
export async function pump(messages: AsyncIterable<Message>, credit: Credit, send: (message: Message) => void): Promise<boolean> {
  const iterator = messages[Symbol.asyncIterator]();
  // Not awaited: a producer that ignores it must not hold the stream, and what it throws then reaches nobody.
  const leave = (): void => void iterator.return?.().then(undefined, () => undefined);
  if (credit.isStopped) {
    leave();
    return false;
  }
  credit.onStop = leave;
  while (true) {
    if (!credit.hasLeft) await credit.more();
    if (credit.isStopped) return false;
    const next = await iterator.next();
    if (credit.isStopped) return false;
    if (next.done) {
      credit.onStop = undefined;
      return true;
    }
    try {
      send(next.value);
    } catch (error) {
      leave();
      throw error;
    }
  }
}
