import type { Socket } from 'node:net';
import { type Message, toBinary } from '@bufbuild/protobuf';
import type { Method } from '../../calls/contract.ts';
import type { Bound } from '../../calls/dispatcher.ts';
import type { Endpoint } from '../../calls/endpoint.ts';
import { exhausted, Fault, unavailable } from '../../fault.ts';
import type { Log } from '../../log.ts';
import { decodeMessage, encodeFault } from '../wire.ts';
import { type CallHead, HeadReader } from './call-head.ts';
import { readFault, sayGoAway, tooLarge, writeAll } from './client-connection.ts';
import { Credit, pump } from './credit.ts';
import { FrameReader, FrameType, FrameWriter, frameHeadBytes, greeting, protocolFault, viewOf } from './frames.ts';
import { Inbox } from './inbox.ts';
import type { LocalLimits } from './limits.ts';
import { ServerCall } from './server-call.ts';

export interface ServerConnectionOptions {
  readonly socket: Socket;
  readonly endpoint: Endpoint;
  readonly limits: LocalLimits;
  readonly log: Log;
  /** Once, when the connection has ended; with what the peer said, or broke. */
  readonly onClose: (why?: Fault) => void;
  /** Of a peer that asks whether this side is there: how long it may say nothing. Absent: as long as it likes. Unit: milliseconds. */
  readonly silenceMsMax?: number;
  /** At the first call: the peer has taken this connection. */
  readonly onCalled?: () => void;
}

/** One connection of a server. Whoever may open the socket may state a caller: the socket's mode and folder guard it. */
export class ServerConnection {
  readonly #options: ServerConnectionOptions;
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  readonly #heads = new HeadReader();
  /** Calls whose client still waits. */
  readonly #calls = new Map<number, ServerCall>();
  readonly #openedMs = performance.now();
  /** Handlers under way, given-up ones included: they use memory too. */
  #running = 0;
  #streams = 0;
  #lastId = 0;
  #frameBytesMax: number;
  #isStopping = false;
  #isClosed = false;
  #heardMs = performance.now();

  constructor(options: ServerConnectionOptions) {
    this.#options = options;
    const { socket, limits } = options;
    this.#socket = socket;
    this.#frameBytesMax = limits.frameBytesMax;
    this.#writer = new FrameWriter(
      (chunks) => this.#write(chunks),
      () => this.#calls.size > 1,
    );
    this.#reader = new FrameReader(limits.frameBytesMax, {
      greeted: (frameBytesMax) => {
        this.#frameBytesMax = Math.min(frameBytesMax, limits.frameBytesMax);
      },
      frame: (type, id, bytes, from, to) => this.#frame(type, id, bytes, from, to),
    });
    socket.write(greeting(limits.frameBytesMax));
    socket.on('data', (chunk: Buffer) => {
      this.#heardMs = performance.now();
      try {
        this.#reader.push(chunk);
      } catch (error) {
        this.#refuse(Fault.from(error));
      }
    });
    // What can be read again after the client has read some of what waits for it.
    socket.on('drain', () => socket.resume());
    socket.on('error', (cause) =>
      this.close(unavailable(`The connection was lost (${cause.message})`, { reason: 'connection_lost', cause })),
    );
    socket.on('close', () => this.close());
  }

  /** Ends a connection whose peer takes longer than it may. */
  watch(nowMs: number): void {
    const { limits, silenceMsMax = Number.POSITIVE_INFINITY } = this.#options;
    const { isGreeted, partialSinceMs } = this.#reader;
    if (!isGreeted && nowMs - this.#openedMs > limits.greetingMsMax) this.#refuse(protocolFault('no greeting arrived in time'));
    else if (partialSinceMs > 0 && nowMs - partialSinceMs > limits.partialFrameMsMax && !this.#socket.isPaused()) {
      this.#refuse(protocolFault('the rest of a frame did not arrive in time'));
    } else if (nowMs - this.#heardMs > silenceMsMax && !this.#socket.isPaused()) {
      this.#refuse(protocolFault('the other side has said nothing for too long', { reason: 'silent' }));
    }
  }

  /** Refuses new calls and ends when those under way have. */
  stop(): void {
    this.#isStopping = true;
    this.#endIfStopped();
  }

  close(why?: Fault): void {
    this.#socket.destroy();
    this.#release(why);
  }

  #release(why?: Fault): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const call of this.#calls.values()) call.cancel('The client went away');
    this.#calls.clear();
    this.#options.onClose(why);
  }

  #refuse(fault: Fault): void {
    if (this.#isClosed) return;
    const { code, reason, message, cause } = fault;
    this.#options.log.warn('a connection was closed', { code, reason, why: message, ...(cause ? { cause } : {}) });
    sayGoAway(this.#socket, this.#writer, fault);
    this.#release(fault);
  }

  #write(chunks: readonly Uint8Array[]): void {
    writeAll(this.#socket, chunks);
    // Only servers stop reading: if both ends did, neither would go on.
    if (this.#socket.writableLength > this.#options.limits.outboundBytesMax) this.#socket.pause();
  }

  #frame(type: number, id: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case FrameType.Call:
        this.#call(id, bytes, from, to);
        break;
      case FrameType.DefineCaller:
      case FrameType.DefineMethod:
        this.#heads.define(type, id, viewOf(bytes, from, to));
        break;
      case FrameType.Ping:
        this.#writer.frame(FrameType.Ping, 0);
        break;
      case FrameType.GoAway:
        this.close(readFault(viewOf(bytes, from, to)));
        break;
      case FrameType.Message:
      case FrameType.End:
      case FrameType.Cancel:
      case FrameType.Credit:
        this.#frameOfCall(type, id, bytes, from, to);
        break;
      default:
        throw protocolFault(`frames of type ${type} are not sent to servers`);
    }
  }

  #frameOfCall(type: FrameType, id: number, bytes: Buffer, from: number, to: number): void {
    const call = this.#calls.get(id);
    if (!call) {
      // Frames may cross with the end of their call, never with its beginning.
      if (id > this.#lastId) throw protocolFault(`a frame is for call ${id}, which was not made`);
      return;
    }
    if (type === FrameType.Cancel) {
      this.#calls.delete(id);
      call.cancel('The call was cancelled by its client');
      this.#endIfStopped();
    } else if (type === FrameType.Credit) {
      if (to - from !== 4) throw protocolFault('a grant of credit is malformed');
      call.credit?.grant(bytes.readUInt32LE(from));
    } else if (!call.inbox) {
      throw protocolFault(`a stream arrived for call ${id}, which has none`);
    } else if (type === FrameType.Message) {
      call.inbox.push(viewOf(bytes, from, to));
    } else {
      call.inbox.end();
    }
  }

  #call(id: number, bytes: Buffer, from: number, to: number): void {
    const head = this.#heads.read(bytes, from, to);
    if (this.#calls.has(id)) throw protocolFault(`call ${id} was made twice`);
    if (this.#lastId === 0) this.#options.onCalled?.();
    if (id > this.#lastId) this.#lastId = id;
    const { endpoint } = this.#options;
    const call = new ServerCall(head);
    this.#calls.set(id, call);
    try {
      const bound = endpoint.require(head.service, head.methodName);
      this.#admit(bound.method, head);
      if (bound.method.kind === 'unary') this.#unary(id, call, bound, viewOf(bytes, head.bodyFrom, to));
      else this.#stream(id, call, bound, viewOf(bytes, head.bodyFrom, to));
    } catch (error) {
      this.#fail(id, call, error);
    }
  }

  #admit(method: Method, head: CallHead): void {
    const { limits } = this.#options;
    if (this.#isStopping)
      throw unavailable(`${head.service || 'The process'} is stopping`, { reason: 'stopping', retryAfterMs: 500 });
    if (this.#running >= limits.callsMax || (method.kind !== 'unary' && this.#streams >= limits.streamsMax)) {
      throw exhausted(`Cannot call ${method.name}: too many calls of this client are under way`, {
        reason: 'too_many_calls',
        retryAfterMs: 100,
      });
    }
  }

  #unary(id: number, call: ServerCall, bound: Bound, body: Uint8Array): void {
    const request = decodeMessage(bound.method.input, body);
    const answer = bound.unary(request, call);
    if (!(answer instanceof Promise)) {
      this.#answer(id, call, bound.method, answer);
      return;
    }
    this.#running++;
    answer.then(
      (answer) => {
        this.#running--;
        try {
          this.#answer(id, call, bound.method, answer);
        } catch (error) {
          this.#fail(id, call, error);
        }
      },
      (error: unknown) => {
        this.#running--;
        this.#fail(id, call, error);
      },
    );
  }

  #answer(id: number, call: ServerCall, method: Method, answer: Message): void {
    if (this.#calls.get(id) !== call) return;
    const body = toBinary(method.output, answer);
    this.#assertFits(method, body);
    this.#calls.delete(id);
    this.#writer.frame(FrameType.Answer, id, body);
    this.#endIfStopped();
  }

  #stream(id: number, call: ServerCall, bound: Bound, body: Uint8Array): void {
    const { method } = bound;
    const credit = new Credit();
    call.credit = credit;
    let requests: Message | Inbox;
    if (method.kind === 'server_streaming') {
      requests = decodeMessage(method.input, body);
    } else {
      requests = new Inbox({
        desc: method.input,
        grant: (granted) => {
          if (this.#calls.get(id) === call) this.#writer.number(FrameType.Credit, id, granted);
        },
      });
      call.inbox = requests;
    }
    this.#running++;
    this.#streams++;
    const ended = (): void => {
      this.#running--;
      this.#streams--;
    };
    const send = (message: Message): void => {
      const answer = toBinary(method.output, message);
      this.#assertFits(method, answer);
      credit.spend(answer.length);
      this.#writer.frame(FrameType.Message, id, answer);
    };
    pump(bound.stream(requests, call), credit, send).then(
      (isWhole) => {
        ended();
        if (!isWhole || this.#calls.get(id) !== call) return;
        this.#calls.delete(id);
        this.#writer.frame(FrameType.End, id);
        this.#endIfStopped();
      },
      (error: unknown) => {
        ended();
        this.#fail(id, call, error);
      },
    );
  }

  #fail(id: number, call: ServerCall, error: unknown): void {
    if (this.#calls.get(id) !== call) return;
    this.#calls.delete(id);
    this.#writer.frame(FrameType.Fault, id, encodeFault(Fault.from(error), this.#frameBytesMax - frameHeadBytes));
    this.#endIfStopped();
  }

  #assertFits(method: Method, body: Uint8Array): void {
    if (body.length + frameHeadBytes > this.#frameBytesMax) throw tooLarge(method.name, body.length, this.#frameBytesMax);
  }

  #endIfStopped(): void {
    if (!this.#isStopping || this.#calls.size > 0) return;
    this.#writer.flush();
    this.#socket.end();
  }
}
