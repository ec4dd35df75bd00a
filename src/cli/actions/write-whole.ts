import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CliContext } from '../command.ts';
import { systemFault } from '../system-fault.ts';

/** Writes pieces to a file, for this account only, that appears when it is whole; `-` is standard output. Result: whether there is a file. */
export async function writeWhole(
  { output }: CliContext,
  to: string,
  pieces: AsyncIterable<{ readonly data: Uint8Array }>,
): Promise<boolean> {
  if (to === '-') {
    for await (const { data } of pieces) await output.write(data);
    return false;
  }
  const partial = join(dirname(to), `.${basename(to).slice(0, 200)}.${randomBytes(4).toString('hex')}.part`);
  try {
    await using file = await open(partial, 'wx', 0o600);
    for await (const { data } of pieces) for (let at = 0; at < data.byteLength; ) at += (await file.write(data, at)).bytesWritten;
    await rename(partial, to);
    return true;
  } catch (error) {
    throw systemFault('write', to, error);
  } finally {
    await rm(partial, { force: true });
  }
}
