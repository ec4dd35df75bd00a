import type { DescMessage, Message } from '@bufbuild/protobuf';
import { decodeMessage } from '../wire.ts';
import { costOf, windowBytes } from './credit.ts';
import { protocolFault } from './frames.ts';

export interface InboxOptions {
  readonly desc: DescMessage;
  /** Lets the peer send so much more. Unit: as `costOf`. */
  readonly grant: (bytes: number) => void;
  /** The consumer has left before the end. */
  readonly onLeave?: () => void;
}

/** What has arrived on a stream and was not read yet; never more than the window. Read by one consumer. */
export class Inbox implements AsyncIterableIterator<Message> {
  readonly #options: InboxOptions;
  readonly #arrived: Uint8Array[] = [];
  #isOpen = true;
  #hasLeft = false;
  #failure: unknown;
  #windowLeft = windowBytes;
  #readBytes = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Message>> | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Errors: a protocol fault when the peer sends more than it may. */
  push(bytes: Uint8Array): void {
    if (this.#windowLeft <= 0) throw protocolFault('a stream carried more than its window');
    this.#windowLeft -= costOf(bytes.length);
    if (!this.#isOpen) return;
    const waiting = this.#waiting;
    if (!waiting) {
      this.#arrived.push(bytes);
      return;
    }
    this.#waiting = undefined;
    try {
      waiting.resolve({ done: false, value: this.#take(bytes) });
    } catch (error) {
      this.#close();
      waiting.reject(error);
    }
  }

  /** No more will arrive: what has arrived can still be read. */
  end(): void {
    this.#finish(undefined);
  }

  /** What has arrived can still be read, then `failure` is thrown. */
  fail(failure: unknown): void {
    this.#finish(failure);
  }

  /** As `fail`, at once. */
  abort(failure: unknown): void {
    this.#arrived.length = 0;
    this.#finish(failure);
  }

  next(): Promise<IteratorResult<Message>> {
    const bytes = this.#arrived.shift();
    if (bytes) {
      try {
        return Promise.resolve({ done: false, value: this.#take(bytes) });
      } catch (error) {
        this.#close();
        return Promise.reject(error);
      }
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (!this.#isOpen) return Promise.resolve({ done: true, value: undefined });
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<IteratorResult<Message>> {
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  #take(bytes: Uint8Array): Message {
    const message = decodeMessage(this.#options.desc, bytes);
    this.#readBytes += costOf(bytes.length);
    if (this.#readBytes >= windowBytes / 2 && this.#isOpen) {
      this.#windowLeft += this.#readBytes;
      this.#options.grant(this.#readBytes);
      this.#readBytes = 0;
    }
    return message;
  }

  #finish(failure: unknown): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#failure = failure;
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    this.#failure = undefined;
    if (failure === undefined) waiting.resolve({ done: true, value: undefined });
    else waiting.reject(failure);
  }

  // The consumer leaves, or cannot read what it was sent.
  #close(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const wasOpen = this.#isOpen;
    this.#arrived.length = 0;
    this.#failure = undefined;
    this.#finish(undefined);
    if (wasOpen) this.#options.onLeave?.();
  }
}
