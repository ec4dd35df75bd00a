import type { Socket } from 'node:net';
import { type Message, toBinary } from '@bufbuild/protobuf';
import { deadlineFault } from '../../calls/call.ts';
import type { Outgoing } from '../../calls/channel.ts';
import type { Method } from '../../calls/contract.ts';
import { exhausted, Fault, invalidArgument, unavailable } from '../../fault.ts';
import type { Log } from '../../log.ts';
import { unreachable } from '../circuit.ts';
import { decodeFault, encodeFault } from '../wire.ts';
import { HeadWriter, headBytesMax, isKeyTooLong } from './call-head.ts';
import { type ClientCall, StreamCall, UnaryCall } from './client-call.ts';
import { pump } from './credit.ts';
import { FrameReader, FrameType, FrameWriter, frameHeadBytes, greeting, protocolFault, viewOf } from './frames.ts';
import type { LocalLimits } from './limits.ts';

export interface ClientConnectionOptions {
  /** Open, or about to be. */
  readonly socket: Socket;
  readonly address: string;
  readonly limits: LocalLimits;
  readonly log: Log;
  /** The peer has greeted: it is one of ours. */
  readonly onOpen: () => void;
  /** Once. `isReached`: it had been open before. */
  readonly onClose: (fault: Fault, isReached: boolean) => void;
  /** Asks whether the peer is there while no call is under way, too. */
  readonly isWatched?: boolean;
}

/** One connection of a client. Calls may be made before it is open; when it closes all calls under way end `unavailable` at once. */
export class ClientConnection {
  readonly #options: ClientConnectionOptions;
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  readonly #heads: HeadWriter;
  readonly #calls = new Map<number, ClientCall>();
  readonly #watchdog: NodeJS.Timeout;
  readonly #openedMs = performance.now();
  #streams = 0;
  #lastId = 0;
  #frameBytesMax: number;
  #heardMs = performance.now();
  #isPinged = false;
  #isClosed = false;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #deadlineMs = Number.POSITIVE_INFINITY;

  constructor(options: ClientConnectionOptions) {
    this.#options = options;
    const { socket, limits } = options;
    this.#frameBytesMax = limits.frameBytesMax;
    this.#socket = socket;
    this.#writer = new FrameWriter(
      (chunks) => writeAll(this.#socket, chunks),
      () => this.#calls.size > 1,
    );
    this.#heads = new HeadWriter(this.#writer);
    this.#reader = new FrameReader(limits.frameBytesMax, {
      greeted: (frameBytesMax) => {
        this.#frameBytesMax = Math.min(frameBytesMax, limits.frameBytesMax);
        options.onOpen();
      },
      frame: (type, id, bytes, from, to) => this.#frame(type, id, bytes, from, to),
    });
    this.#socket.write(greeting(limits.frameBytesMax));
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heardMs = performance.now();
      this.#isPinged = false;
      try {
        this.#reader.push(chunk);
      } catch (error) {
        options.log.error('a peer broke the protocol', { address: options.address, error });
        this.close(Fault.from(error));
      }
    });
    this.#socket.on('error', (error) => this.close(this.#lost(error)));
    this.#socket.on('close', () => this.close(this.#lost()));
    const everyMs = Math.max(10, Math.min(limits.greetingMsMax, limits.silenceMsMax) / 4);
    this.#watchdog = setInterval(() => this.#watch(), everyMs).unref();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  unary(method: Method, request: Message, outgoing: Outgoing): Promise<Message> {
    return new Promise((resolve, reject) => {
      const bytes = toBinary(method.input, request);
      const call = new UnaryCall(method, deadlineOf(outgoing), resolve, reject);
      const id = this.#open(call, bytes, outgoing);
      const { signal } = outgoing;
      if (signal) call.onEnd = this.#onAbort(id, signal);
    });
  }

  stream(method: Method, requests: Message | AsyncIterable<Message>, outgoing: Outgoing): AsyncIterator<Message> {
    const isSingle = method.kind === 'server_streaming';
    const bytes = isSingle ? toBinary(method.input, requests as Message) : undefined;
    const call: StreamCall = new StreamCall(
      method,
      deadlineOf(outgoing),
      (granted) => this.#writer.number(FrameType.Credit, id, granted),
      () => this.#giveUp(id, new Fault('canceled', `${method.name} was left by its client`)),
    );
    const id = this.#open(call, bytes, outgoing);
    if (outgoing.signal) call.onEnd = this.#onAbort(id, outgoing.signal);
    if (!isSingle) {
      const send = (message: Message): void => {
        const body = toBinary(method.input, message);
        assertFits(method, body.length, this.#frameBytesMax);
        call.credit.spend(body.length);
        this.#writer.frame(FrameType.Message, id, body);
      };
      pump(requests as AsyncIterable<Message>, call.credit, send).then(
        (isWhole) => {
          if (isWhole) this.#writer.frame(FrameType.End, id);
        },
        (error: unknown) => this.#giveUp(id, Fault.from(error)),
      );
    }
    return call.inbox;
  }

  /** Ends every call under way with `fault`. */
  close(fault: Fault, { isSpeaking = false }: { readonly isSpeaking?: boolean } = {}): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#deadlineTimer);
    if (!isSpeaking) this.#socket.destroy();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#options.onClose(fault, this.#reader.isGreeted);
    for (const call of calls) call.failed(fault, true);
  }

  /** As `close`; the peer is told why. */
  goAway(fault: Fault): void {
    if (this.#isClosed) return;
    sayGoAway(this.#socket, this.#writer, fault);
    this.close(fault, { isSpeaking: true });
  }

  #open(call: ClientCall, request: Uint8Array | undefined, outgoing: Outgoing): number {
    const { limits, address } = this.#options;
    const { signal, timeoutMs, idempotencyKey } = outgoing;
    if (signal?.aborted) throw Fault.from(signal.reason);
    if (timeoutMs !== undefined && timeoutMs <= 0) throw deadlineFault(call.method.name);
    if (isKeyTooLong(idempotencyKey)) throw invalidArgument(`Cannot call ${call.method.name}: its idempotency key is too long`);
    if (request) assertFits(call.method, request.length + headBytesMax(idempotencyKey), this.#frameBytesMax);
    if (this.#calls.size >= limits.callsMax || (call.isStream && this.#streams >= limits.streamsMax)) {
      throw exhausted(`Cannot call ${call.method.name}: too many calls to ${address} are under way`, {
        reason: 'too_many_calls',
        retryAfterMs: 100,
      });
    }
    const id = this.#nextId();
    if (this.#calls.size === 0 && !this.#options.isWatched) this.#heardMs = performance.now();
    this.#calls.set(id, call);
    if (call.isStream) this.#streams++;
    this.#heads.call(id, call.method, outgoing, request);
    if (call.deadlineMs < this.#deadlineMs) this.#armDeadline(call.deadlineMs);
    return id;
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }

  /** Takes a call off the list. */
  #end(id: number): ClientCall | undefined {
    const call = this.#calls.get(id);
    if (!call) return undefined;
    this.#calls.delete(id);
    if (call.isStream) this.#streams--;
    return call;
  }

  #giveUp(id: number, fault: Fault): void {
    const call = this.#end(id);
    if (!call) return;
    this.#writer.frame(FrameType.Cancel, id);
    call.failed(fault, true);
  }

  #onAbort(id: number, signal: AbortSignal): () => void {
    const abort = (): void => this.#giveUp(id, Fault.from(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  }

  #frame(type: number, id: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case FrameType.Answer:
        // A call this side has given up is not in the list any more; what still arrives for it is dropped.
        this.#end(id)?.answered(viewOf(bytes, from, to));
        break;
      case FrameType.Message:
        this.#calls.get(id)?.message(viewOf(bytes, from, to));
        break;
      case FrameType.End:
        this.#end(id)?.ended();
        break;
      case FrameType.Fault:
        this.#end(id)?.failed(readFault(viewOf(bytes, from, to)), false);
        break;
      case FrameType.Credit:
        if (to - from !== 4) throw protocolFault('a grant of credit is malformed');
        this.#calls.get(id)?.granted(bytes.readUInt32LE(from));
        break;
      case FrameType.Ping:
        break;
      case FrameType.GoAway:
        this.close(readFault(viewOf(bytes, from, to)));
        break;
      default:
        throw protocolFault(`frames of type ${type} are not sent to clients`);
    }
  }

  // One timer for all calls: it is set anew only when a call is due before it, and looks at them all when it rings.
  #armDeadline(deadlineMs: number): void {
    clearTimeout(this.#deadlineTimer);
    this.#deadlineMs = deadlineMs;
    const waitMs = Math.min(0x7fff_ffff, Math.max(1, Math.ceil(deadlineMs - performance.now())));
    this.#deadlineTimer = setTimeout(() => this.#expire(), waitMs).unref();
  }

  #expire(): void {
    const nowMs = performance.now();
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, call] of this.#calls) {
      if (call.deadlineMs <= nowMs) this.#giveUp(id, deadlineFault(call.method.name));
      else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    if (nextMs < this.#deadlineMs) this.#armDeadline(nextMs);
  }

  #watch(): void {
    const { limits, address, isWatched } = this.#options;
    const nowMs = performance.now();
    if (!this.#reader.isGreeted) {
      if (nowMs - this.#openedMs > limits.greetingMsMax) this.close(unreachable(address, 'it does not answer'));
      return;
    }
    if (this.#calls.size === 0 && !isWatched) return;
    const silentMs = nowMs - this.#heardMs;
    if (silentMs > limits.silenceMsMax) {
      this.close(unreachable(address, `it has said nothing for ${Math.round(silentMs / 1000)} s`));
    } else if (silentMs > limits.silenceMsMax / 2 && !this.#isPinged) {
      this.#isPinged = true;
      this.#writer.frame(FrameType.Ping, 0);
    }
  }

  #lost(cause?: NodeJS.ErrnoException): Fault {
    const { address } = this.#options;
    if (this.#reader.isGreeted) {
      return unavailable(`The connection to ${address} was lost before the answer`, {
        reason: 'connection_lost',
        retryAfterMs: 50,
        ...(cause ? { cause } : {}),
      });
    }
    const why = cause?.code === 'ENOENT' || cause?.code === 'ECONNREFUSED' ? 'nobody listens there' : 'connecting failed';
    return unreachable(address, cause ? `${why} (${cause.code})` : why);
  }
}

function deadlineOf({ timeoutMs }: Outgoing): number {
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
}

function assertFits(method: Method, bytes: number, frameBytesMax: number): void {
  if (bytes + frameHeadBytes > frameBytesMax) throw tooLarge(method.name, bytes, frameBytesMax);
}

/** A message that no frame holds. */
export function tooLarge(methodName: string, bytes: number, frameBytesMax: number): Fault {
  return exhausted(
    `Cannot carry a message of ${methodName}: ${bytes} bytes are more than the ${frameBytesMax} a frame may have`,
    {
      reason: 'message_too_large',
      hint: 'Send it as a stream of smaller messages.',
    },
  );
}

export function readFault(bytes: Uint8Array): Fault {
  try {
    return decodeFault(bytes);
  } catch (error) {
    throw protocolFault('a fault is not Protobuf', { cause: error });
  }
}

/** Tells the peer why its connection ends, and ends it; what the peer sends meanwhile is not looked at. */
export function sayGoAway(socket: Socket, writer: FrameWriter, fault: Fault): void {
  writer.frame(FrameType.GoAway, 0, encodeFault(fault));
  writer.flush();
  socket.removeAllListeners('data');
  socket.resume();
  socket.destroySoon();
  setTimeout(() => socket.destroy(), 1000).unref();
}

/** One system call for all chunks. */
export function writeAll(socket: Socket, chunks: readonly Uint8Array[]): void {
  if (socket.destroyed) return;
  const [first] = chunks;
  if (chunks.length === 1 && first) {
    socket.write(first);
    return;
  }
  socket.cork();
  for (const chunk of chunks) socket.write(chunk);
  socket.uncork();
}
