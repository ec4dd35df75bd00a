import { Code, Fault, type FaultOptions } from '../../fault.ts';

/*
 * The wire of the local transport, and of connections that agents open (see ../dialled).
 *
 * Each end begins with a greeting: "CELLAR", a u16 version and a u32 with the largest frame it accepts. Then frames follow:
 *
 *   u32 bytes after this field | u8 type | u32 call | payload
 *
 * Numbers are little-endian. Calls are numbered by the client. A caller, or a service with a method, is sent once per connection as a
 * `cellar.kernel.v1.CallHeader` (`Define*`, its slot in place of the call) and by its slot from then on.
 */
export const FrameType = {
  /** Client: payload `CallHeader` with only `caller`. */
  DefineCaller: 1,
  /** Client: payload `CallHeader` with only `method` and `service`. */
  DefineMethod: 2,
  /** Client: payload head (see call-head.ts), then the request unless requests are streamed. */
  Call: 3,
  /** Either: one message of a stream. */
  Message: 4,
  /** Either: no more messages from this side. From the server it ends the call. */
  End: 5,
  /** Server: the one answer; ends the call. */
  Answer: 6,
  /** Server: payload `FaultDetail`; ends the call. */
  Fault: 7,
  /** Client: the call is given up. */
  Cancel: 8,
  /** Either: u32, so much more may be sent; see credit.ts. */
  Credit: 9,
  /** Client asks, the server answers in kind: is anybody there? */
  Ping: 10,
  /** Either: payload `FaultDetail`; says why it closes the connection. */
  GoAway: 11,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const protocolVersion = 1;
export const greetingBytes = 12;
export const frameHeadBytes = 9;
const magic = Buffer.from('CELLAR');
/** Larger payloads are handed to the socket as they are. */
const smallBytesMax = 8 * 1024;
const slabBytes = 64 * 1024;

export function greeting(frameBytesMax: number): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  magic.copy(bytes);
  bytes.writeUInt16LE(protocolVersion, 6);
  bytes.writeUInt32LE(frameBytesMax, 8);
  return bytes;
}

/** The peer broke the protocol: the connection ends. */
export function protocolFault(why: string, options: FaultOptions = {}): Fault {
  return new Fault(Code.Unavailable, `The connection was closed: ${why}`, { reason: 'protocol_error', ...options });
}

export type Write = (chunks: readonly Uint8Array[]) => void;

/** Collects the frames of one turn of the event loop and writes them at once. Large messages are not copied. */
export class FrameWriter {
  /** Where the head of a frame is written, at the offset `begin` returned. */
  slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  readonly #write: Write;
  readonly #isBusy: () => boolean;
  #chunks: Uint8Array[] = [];
  #from = 0;
  #to = 0;
  #isScheduled = false;
  /** Since the last flush, and before it. */
  #frames = 0;
  #framesBefore = 0;

  /** `isBusy`: whether more than one call is under way, so that waiting for others' frames pays. */
  constructor(write: Write, isBusy: () => boolean = () => true) {
    this.#write = write;
    this.#isBusy = isBusy;
  }

  /** A whole frame. */
  frame(type: FrameType, call: number, payload?: Uint8Array): void {
    this.begin(type, call, 0, payload?.length ?? 0);
    if (payload) this.body(payload);
  }

  /** A frame whose payload is one number. */
  number(type: FrameType, call: number, value: number): void {
    const at = this.begin(type, call, 4, 0);
    this.slab.writeUInt32LE(value, at);
  }

  /** Begins a frame; the caller writes `headBytes` into `slab` at the result, then `bodyBytes` by `body`. */
  begin(type: FrameType, call: number, headBytes: number, bodyBytes: number): number {
    const bytes = frameHeadBytes + headBytes + (bodyBytes <= smallBytesMax ? bodyBytes : 0);
    if (this.#to + bytes > this.slab.length) this.#renew(bytes);
    const { slab } = this;
    let at = this.#to;
    const length = 5 + headBytes + bodyBytes;
    slab[at++] = length & 0xff;
    slab[at++] = (length >>> 8) & 0xff;
    slab[at++] = (length >>> 16) & 0xff;
    slab[at++] = length >>> 24;
    slab[at++] = type;
    slab[at++] = call & 0xff;
    slab[at++] = (call >>> 8) & 0xff;
    slab[at++] = (call >>> 16) & 0xff;
    slab[at++] = call >>> 24;
    this.#to = at + headBytes;
    this.#frames++;
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      // When the event loop has looked at all its sockets: what all of them make this side send goes out in one system call. A call
      // that is alone, after others that were, does not wait for that.
      if (this.#framesBefore > 1 || this.#isBusy()) setImmediate(this.flush);
      else process.nextTick(this.flush);
    }
    return at;
  }

  body(bytes: Uint8Array): void {
    if (bytes.length <= smallBytesMax) {
      this.slab.set(bytes, this.#to);
      this.#to += bytes.length;
      return;
    }
    this.#seal();
    this.#chunks.push(bytes);
  }

  readonly flush = (): void => {
    this.#isScheduled = false;
    this.#framesBefore = this.#frames;
    this.#frames = 0;
    this.#seal();
    if (this.#chunks.length === 0) return;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#write(chunks);
  };

  #seal(): void {
    if (this.#to > this.#from) this.#chunks.push(this.slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  // A slab is written to once only, since the socket may still hold it.
  #renew(bytes: number): void {
    this.#seal();
    this.slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes));
    this.#from = 0;
    this.#to = 0;
  }
}

/** What a reader hands on. Payloads are views into what was read, from `from` to `to`. */
export interface FrameSink {
  greeted(frameBytesMax: number): void;
  frame(type: number, call: number, bytes: Buffer, from: number, to: number): void;
}

/** Cuts what arrives into frames. A frame that lies whole in what arrived is not copied. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frameBytesMax: number;
  #isGreeted = false;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes = 0;
  /** Since when a part of a frame waits for the rest, on `performance.now()`'s clock; 0 when none does. */
  partialSinceMs = 0;

  constructor(frameBytesMax: number, sink: FrameSink) {
    this.#frameBytesMax = frameBytesMax;
    this.#sink = sink;
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** Errors: a protocol fault; the reader is of no use after it. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#heldBytes > 0) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      if (this.#heldBytes < this.#neededBytes) return;
      bytes = Buffer.concat(this.#held, this.#heldBytes);
      this.#held = [];
      this.#heldBytes = 0;
      this.partialSinceMs = 0;
    }
    let at = 0;
    if (!this.#isGreeted) {
      if (bytes.length < greetingBytes) {
        this.#hold(bytes, greetingBytes);
        return;
      }
      this.#greet(bytes);
      at = greetingBytes;
    }
    while (at < bytes.length) {
      const left = bytes.length - at;
      if (left < 4) {
        this.#hold(bytes.subarray(at), frameHeadBytes);
        return;
      }
      const length =
        ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
      if (length < 5) throw protocolFault(`a frame of ${length} bytes is too short`);
      if (length > this.#frameBytesMax) {
        throw protocolFault(`a frame of ${length} bytes is larger than ${this.#frameBytesMax}`, { reason: 'frame_too_large' });
      }
      if (left < length + 4) {
        this.#hold(bytes.subarray(at), length + 4);
        return;
      }
      const type = bytes[at + 4] ?? 0;
      const call =
        ((bytes[at + 5] ?? 0) | ((bytes[at + 6] ?? 0) << 8) | ((bytes[at + 7] ?? 0) << 16) | ((bytes[at + 8] ?? 0) << 24)) >>> 0;
      const to = at + 4 + length;
      this.#sink.frame(type, call, bytes, at + frameHeadBytes, to);
      at = to;
    }
  }

  #greet(bytes: Buffer): void {
    if (!bytes.subarray(0, magic.length).equals(magic)) {
      throw protocolFault('the peer does not speak the protocol of Cellar', { reason: 'wrong_protocol' });
    }
    const version = bytes.readUInt16LE(6);
    if (version !== protocolVersion) {
      throw protocolFault(`the peer speaks version ${version} of the protocol, this process version ${protocolVersion}`, {
        reason: 'wrong_version',
        hint: 'Restart all processes of this installation from the same version of Cellar.',
      });
    }
    this.#isGreeted = true;
    this.#sink.greeted(bytes.readUInt32LE(8));
  }

  #hold(bytes: Buffer, neededBytes: number): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes = bytes.length;
    this.#neededBytes = neededBytes;
    this.partialSinceMs = performance.now();
  }
}

/** A view that is a plain `Uint8Array`, so that byte fields have the same type on every transport. */
export function viewOf(bytes: Buffer, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from);
}
