import { hash } from 'node:crypto';

/**
 * A file's time as every part of Cellar keeps it: microseconds since 1970, which a number holds exactly and which is finer than the clocks
 * of file systems tick. From `Stats.mtimeMs`, or from nanoseconds by the same rounding, so that both give the same. Times that 64 bits of
 * nanoseconds cannot hold, before 1678 and after 2261, are the nearest that they can.
 */
export function modifyTimeUs(time: { readonly mtimeMs: number } | { readonly mtimeNs: bigint }): number {
  if ('mtimeNs' in time) {
    const seconds = Number(time.mtimeNs / 1_000_000_000n);
    return bounded(Math.round((seconds * 1000 + Number(time.mtimeNs % 1_000_000_000n) / 1e6) * 1000));
  }
  return bounded(Math.round(time.mtimeMs * 1000));
}

const timeUsMax = 9_200_000_000_000_000;

function bounded(timeUs: number): number {
  return Math.max(-timeUsMax, Math.min(timeUsMax, timeUs));
}

export interface FileState {
  readonly sizeBytes: number;
  readonly mtimeUs: number;
  readonly inode: number | bigint;
}

/**
 * The ETag of a file whose content nobody has read, since another program wrote it: stable while the file does not change, and with a
 * dash, so that no client takes it for the MD5 of the content. The same at every door.
 */
export function fileEtag({ sizeBytes, mtimeUs, inode }: FileState): string {
  return `${hash('md5', `${sizeBytes}-${mtimeUs}-${Number(inode)}`)}-0`;
}
