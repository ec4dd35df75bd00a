import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { Message } from '@bufbuild/protobuf';
import type { ClientDuplexStream } from '@grpc/grpc-js';

/**
 * Sent in place of a message when a stream is given up: bytes that are no Protobuf. Node ends a stream before it resets it, so that a
 * server could take the part it got for the whole; what it cannot read makes it fail the call whatever comes after.
 */
export const broken = Symbol('broken');
export const brokenBytes: Buffer = Buffer.from([7]);

const breakMsMax = 50;
/** A source that never waits must not keep the event loop from sending what it yields. */
const turnMessages = 64;

export type RequestCall = ClientDuplexStream<Message | typeof broken, Message>;

/** What a client streams. */
export class RequestStream {
  readonly #call: RequestCall;
  readonly #over = new AbortController();
  #isEnded = false;

  constructor(call: RequestCall) {
    this.#call = call;
  }

  /** Writes what the source yields, as far as the peer reads it. Errors: those of the source. */
  async send(source: AsyncIterable<Message>): Promise<void> {
    const { signal } = this.#over;
    const messages = source[Symbol.asyncIterator]();
    const leave = (): void => void messages.return?.().then(undefined, () => undefined);
    signal.addEventListener('abort', leave, { once: true });
    for (let sent = 1; !signal.aborted; sent++) {
      const next = await messages.next();
      if (signal.aborted) return;
      if (next.done) {
        signal.removeEventListener('abort', leave);
        this.#isEnded = true;
        this.#call.end();
        return;
      }
      if (!this.#call.write(next.value)) await once(this.#call, 'drain', { signal }).catch(() => undefined);
      if (sent % turnMessages === 0) await setImmediate();
    }
  }

  /** The call has ended: the source is left. */
  end(): void {
    this.#over.abort();
  }

  /** Gives the call up so that its server knows. */
  cancel(): void {
    this.end();
    if (this.#isEnded) {
      this.#call.cancel();
      return;
    }
    this.#isEnded = true;
    const cancel = (): void => {
      clearTimeout(timer);
      this.#call.cancel();
    };
    // When the peer reads nothing, the end cannot overtake what waits for it either.
    const timer = setTimeout(cancel, breakMsMax);
    this.#call.write(broken, cancel);
  }
}
