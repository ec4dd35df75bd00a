import { randomBytes } from 'node:crypto';

/**
 * The place of a call in a distributed trace. Ids are made when first read, since most calls never print them.
 * Source: W3C Trace Context, level 1.
 */
export class Trace {
  #hex: string | undefined;
  #traceId: string | undefined;
  #spanId: string | undefined;
  readonly #parent: Trace | undefined;

  constructor(parent?: Trace) {
    this.#parent = parent;
  }

  get traceId(): string {
    this.#traceId ??= this.#hex?.slice(0, 32) ?? this.#parent?.traceId ?? randomHex(16);
    return this.#traceId;
  }

  get spanId(): string {
    this.#spanId ??= this.#hex?.slice(32) ?? randomHex(8);
    return this.#spanId;
  }

  get parentSpanId(): string | undefined {
    return this.#parent?.spanId;
  }

  child(): Trace {
    return new Trace(this);
  }

  toString(): string {
    return `00-${this.traceId}-${this.spanId}-01`;
  }

  /** Both ids, 48 hexadecimal digits. */
  get hex(): string {
    this.#hex ??= this.#traceId || this.#spanId || this.#parent ? this.traceId + this.spanId : randomHex(24);
    return this.#hex;
  }

  /** From what `hex` gave on the other side. */
  static fromHex(hex: string): Trace {
    const trace = new Trace();
    trace.#hex = hex;
    return trace;
  }

  /** Reads a `traceparent` header; a malformed or absent one starts a new trace, as the standard asks. */
  static parse(header: string | undefined): Trace {
    const match = header ? /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(header) : null;
    const trace = new Trace();
    if (match) {
      trace.#traceId = match[1];
      trace.#spanId = match[2];
    }
    return trace;
  }
}

// One system call, and one conversion, for many ids: a small pool, used up front to back.
let pool = '';
let used = 0;

function randomHex(bytes: number): string {
  const digits = bytes * 2;
  if (used + digits > pool.length) {
    pool = randomBytes(4096).toString('hex');
    used = 0;
  }
  used += digits;
  return pool.slice(used - digits, used);
}
