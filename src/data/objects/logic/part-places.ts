import type { StoredPart } from './part-files.ts';

/** Parts further ahead than this are not placed: a file with a large hole is a large file where holes take space. */
const aheadMax = 16;

/** Where in the file of the whole a part is written. */
export interface PartPlace {
  /** Bytes between the beginnings of two parts. */
  readonly strideBytes: number;
  readonly position: number;
}

/**
 * The places of an upload's parts in the file of the whole.
 *
 * Nearly all clients send parts of one size, the last one excepted. So each is written where it will be, and completing has nothing to
 * copy. The part that comes first says the size. What does not fit, is sent again, or comes while the same part is being written, gets a file
 * of its own and is copied when the upload is completed; the bytes of a part that was acknowledged are never written over.
 */
export class PartPlaces {
  #strideBytes: number | undefined;
  /** Of those that were ever placed or began to be. */
  #highest = 0;
  /** All parts that are there, placed or not. */
  readonly #known = new Set<number>();
  readonly #taken = new Set<number>();
  readonly #busy = new Set<number>();
  #isClosed = false;

  /** `strideBytes` and `parts`: what is there already, as after a restart. */
  constructor(strideBytes: number | undefined, parts: readonly StoredPart[]) {
    this.#strideBytes = strideBytes;
    for (const { partNumber, isPlaced } of parts) this.keep(partNumber, isPlaced);
  }

  get strideBytes(): number | undefined {
    return this.#strideBytes;
  }

  /** False: there is no part with this number yet. */
  has(partNumber: number): boolean {
    return this.#known.has(partNumber);
  }

  /** The place for a part of so many bytes on disk, until `release` or `keep`; `undefined` when it needs a file of its own. */
  claim(partNumber: number, sizeBytes: number | undefined): PartPlace | undefined {
    if (this.#isClosed || !sizeBytes || this.#taken.has(partNumber) || this.#busy.has(partNumber)) return undefined;
    const strideBytes = this.#strideBytes ?? sizeBytes;
    if (sizeBytes > strideBytes || partNumber > this.#highest + aheadMax) return undefined;
    this.#strideBytes = strideBytes;
    this.#highest = Math.max(this.#highest, partNumber);
    this.#busy.add(partNumber);
    return { strideBytes, position: (partNumber - 1) * strideBytes };
  }

  /** Nobody writes at the place any more. */
  release(partNumber: number): void {
    this.#busy.delete(partNumber);
  }

  /** What is the part now: the bytes at its place, or a file of its own. */
  keep(partNumber: number, isPlaced: boolean): void {
    this.#known.add(partNumber);
    if (isPlaced) this.#taken.add(partNumber);
    else this.#taken.delete(partNumber);
    if (isPlaced) this.#highest = Math.max(this.#highest, partNumber);
  }

  /** Gives no more places until it is opened again. False when somebody is writing at one: then nothing was closed. */
  close(): boolean {
    if (this.#busy.size > 0) return false;
    this.#isClosed = true;
    return true;
  }

  open(): void {
    this.#isClosed = false;
  }

  /** Whether these parts are the whole once those with files of their own are copied to their places, and nothing else is lost by it. */
  isWhole(parts: readonly { readonly part: StoredPart; readonly sizeBytes: number }[]): boolean {
    const numbers = new Set(parts.map(({ part }) => part.partNumber));
    return (
      parts.some(({ part }) => part.isPlaced) &&
      parts.every(({ part }, index) => part.partNumber === index + 1) &&
      parts.slice(0, -1).every(({ sizeBytes }) => sizeBytes === this.#strideBytes) &&
      [...this.#taken].every((partNumber) => numbers.has(partNumber))
    );
  }
}
