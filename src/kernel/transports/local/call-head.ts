import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CallHeaderSchema } from '#gen/cellar/kernel/v1/call_pb.ts';
import type { Caller } from '../../calls/caller.ts';
import type { Outgoing } from '../../calls/channel.ts';
import type { Method } from '../../calls/contract.ts';
import { Trace } from '../../calls/trace.ts';
import { callerFrom, callerMessage } from '../wire.ts';
import { FrameType, type FrameWriter, protocolFault } from './frames.ts';

/*
 * The head of a call: u8 flags | u16 method slot | u16 caller slot | 24 bytes trace and span id
 * | with `hasTimeout` u32 milliseconds | with `hasKey` u16 length and the idempotency key.
 */
const hasTimeout = 1;
const hasKey = 2;
const fixedBytes = 29;
const keyBytesMax = 0xffff;
const timeoutMsMax = 0xffff_ffff;

/** Slots of one kind on one connection. The oldest is used again when all are taken. */
export const slotsMax = 1024;

class Slots {
  readonly #slots = new Map<string, number>();
  readonly #keys: string[] = [];
  #next = 0;

  /** The slot of a key, and whether the peer has to be told. */
  take(key: string, define: (slot: number) => void): number {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slot = this.#next;
    this.#next = (slot + 1) % slotsMax;
    const old = this.#keys[slot];
    if (old !== undefined) this.#slots.delete(old);
    this.#keys[slot] = key;
    this.#slots.set(key, slot);
    define(slot);
    return slot;
  }
}

const callerKeys = new WeakMap<Caller, string>();

function keyOf(caller: Caller): string {
  let key = callerKeys.get(caller);
  if (key === undefined) {
    const { id, name, roles, scopes, via, credential = '', origin = '' } = caller;
    key = `${id}\0${name}\0${roles.join()}\0${scopes.join('\x01')}\0${via}\0${credential}\0${origin}`;
    callerKeys.set(caller, key);
  }
  return key;
}

/** Writes the heads of one connection's calls. */
export class HeadWriter {
  readonly #writer: FrameWriter;
  readonly #methods = new Slots();
  readonly #callers = new Slots();

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Writes a `Call` frame. */
  call(id: number, method: Method, outgoing: Outgoing, request: Uint8Array | undefined): void {
    const { service, caller, idempotencyKey } = outgoing;
    const methodSlot = this.#methods.take(`${service}\0${method.name}`, (slot) =>
      this.#define(
        FrameType.DefineMethod,
        slot,
        toBinary(CallHeaderSchema, create(CallHeaderSchema, { method: method.name, service })),
      ),
    );
    const callerSlot = this.#callers.take(keyOf(caller), (slot) =>
      this.#define(
        FrameType.DefineCaller,
        slot,
        toBinary(CallHeaderSchema, create(CallHeaderSchema, { caller: callerMessage(caller) })),
      ),
    );
    const timeoutMs = outgoing.timeoutMs === undefined ? undefined : clampTimeout(outgoing.timeoutMs);
    const key = idempotencyKey === '' ? undefined : Buffer.from(idempotencyKey);
    const bytes = fixedBytes + (timeoutMs === undefined ? 0 : 4) + (key ? 2 + key.length : 0);
    let at = this.#writer.begin(FrameType.Call, id, bytes, request?.length ?? 0);
    const { slab } = this.#writer;
    slab[at++] = (timeoutMs === undefined ? 0 : hasTimeout) | (key ? hasKey : 0);
    at = slab.writeUInt16LE(methodSlot, at);
    at = slab.writeUInt16LE(callerSlot, at);
    at += slab.write(outgoing.trace.hex, at, 24, 'hex');
    if (timeoutMs !== undefined) at = slab.writeUInt32LE(timeoutMs, at);
    if (key) {
      at = slab.writeUInt16LE(key.length, at);
      key.copy(slab, at);
    }
    if (request) this.#writer.body(request);
  }

  #define(type: FrameType, slot: number, bytes: Uint8Array): void {
    this.#writer.frame(type, slot, bytes);
  }
}

/** Bytes a call's frame has beside its request; upper bound. */
export function headBytesMax(idempotencyKey: string): number {
  return 64 + Buffer.byteLength(idempotencyKey);
}

export function isKeyTooLong(idempotencyKey: string): boolean {
  return idempotencyKey.length > keyBytesMax / 4 && Buffer.byteLength(idempotencyKey) > keyBytesMax;
}

// Rounded up: a call never has less time on the other side than on this one.
function clampTimeout(timeoutMs: number): number {
  return Math.min(timeoutMsMax, Math.max(0, Math.ceil(timeoutMs)));
}

export interface CallHead {
  readonly service: string;
  readonly methodName: string;
  readonly caller: Caller;
  readonly trace: Trace;
  readonly timeoutMs: number | undefined;
  readonly idempotencyKey: string;
  /** Where the request begins. */
  readonly bodyFrom: number;
}

/** Reads the heads of one connection's calls. Errors: a protocol fault. */
export class HeadReader {
  readonly #methods: { readonly service: string; readonly methodName: string }[] = [];
  readonly #callers: Caller[] = [];

  define(type: FrameType, slot: number, bytes: Uint8Array): void {
    if (slot >= slotsMax) throw protocolFault(`slot ${slot} does not exist`);
    const header = readHeader(bytes);
    if (type === FrameType.DefineMethod) {
      this.#methods[slot] = { service: header.service, methodName: header.method };
    } else {
      if (!header.caller) throw protocolFault('a caller was defined without one');
      this.#callers[slot] = header.caller;
    }
  }

  read(bytes: Buffer, from: number, to: number): CallHead {
    if (to - from < fixedBytes) throw protocolFault('the head of a call is too short');
    const flags = bytes[from] ?? 0;
    const method = this.#methods[(bytes[from + 1] ?? 0) | ((bytes[from + 2] ?? 0) << 8)];
    const caller = this.#callers[(bytes[from + 3] ?? 0) | ((bytes[from + 4] ?? 0) << 8)];
    if (!method || !caller) throw protocolFault('a call names a method or caller that was not defined');
    const trace = Trace.fromHex(bytes.toString('hex', from + 5, from + fixedBytes));
    let at = from + fixedBytes;
    let timeoutMs: number | undefined;
    let idempotencyKey = '';
    if (flags & hasTimeout) {
      if (at + 4 > to) throw protocolFault('the head of a call is too short');
      timeoutMs = bytes.readUInt32LE(at);
      at += 4;
    }
    if (flags & hasKey) {
      const length = at + 2 > to ? Number.POSITIVE_INFINITY : bytes.readUInt16LE(at);
      if (at + 2 + length > to) throw protocolFault('the head of a call is too short');
      idempotencyKey = bytes.toString('utf8', at + 2, at + 2 + length);
      at += 2 + length;
    }
    return { service: method.service, methodName: method.methodName, caller, trace, timeoutMs, idempotencyKey, bodyFrom: at };
  }
}

function readHeader(bytes: Uint8Array): { service: string; method: string; caller: Caller | undefined } {
  try {
    const { service, method, caller } = fromBinary(CallHeaderSchema, bytes);
    return { service, method, caller: caller && callerFrom(caller) };
  } catch (error) {
    throw protocolFault('a call header is not Protobuf', { cause: error });
  }
}
