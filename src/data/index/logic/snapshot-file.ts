import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import { Code, Fault } from '#kernel/fault.ts';

/**
 * A snapshot's file: one line of JSON that says what it is, then lines compressed with zstd, the last of which has the number of the others
 * and the SHA-256 of all before it, the first one included. It is the same whatever engine the rows come from.
 */
export interface SnapshotHeader {
  readonly format: 'cellar-index';
  readonly version: 1;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  readonly tag: string;
  readonly nextId: number;
  readonly files: number;
  readonly folders: number;
  readonly sizeBytes: number;
  /** Head of the event stream. */
  readonly position: number;
}

const headerBytesMax = 4096;

/** Writes the whole file and brings it to the disk. */
export async function writeSnapshotFile(path: string, header: SnapshotHeader, lines: AsyncIterable<string>): Promise<void> {
  const first = `${JSON.stringify(header)}\n`;
  const hash = createHash('sha256').update(first);
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true });
  file.write(first);
  await pipeline(
    Readable.from(
      (async function* () {
        let count = 0;
        for await (const line of lines) {
          count += 1;
          const text = `${line}\n`;
          hash.update(text);
          yield text;
        }
        yield `${JSON.stringify({ lines: count, sha256: hash.digest('hex') })}\n`;
      })(),
    ),
    createZstdCompress(),
    file,
  );
}

/** What a file says it is. Errors: `data_loss` with reason `snapshot_damaged`, `failed_precondition` with reason `snapshot_newer`. */
export async function readSnapshotHeader(path: string): Promise<{ readonly header: SnapshotHeader; readonly first: string }> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(headerBytesMax), position: 0 });
    const end = buffer.subarray(0, bytesRead).indexOf('\n');
    if (end < 0) throw damaged('it has no beginning');
    const first = buffer.toString('utf8', 0, end + 1);
    const header = parse(first) as unknown as SnapshotHeader;
    if (header.format !== 'cellar-index') throw damaged('it is no snapshot of an index');
    if (header.version !== 1)
      throw new Fault(Code.FailedPrecondition, 'Cannot read this snapshot: a newer version of Cellar made it', {
        reason: 'snapshot_newer',
      });
    return { header, first };
  } finally {
    await file.close();
  }
}

/** The lines of a file; it ends well only when all of them were right. Errors: as `readSnapshotHeader`. */
export async function* readSnapshotLines(path: string): AsyncGenerator<string> {
  const { first } = await readSnapshotHeader(path);
  const hash = createHash('sha256').update(first);
  const source = createReadStream(path, { start: Buffer.byteLength(first) });
  const unpacked = createZstdDecompress();
  source.on('error', (error) => unpacked.destroy(error));
  let count = 0;
  let last: string | undefined;
  try {
    for await (const line of splitLines(source.pipe(unpacked))) {
      if (last !== undefined) {
        count += 1;
        hash.update(`${last}\n`);
        yield last;
      }
      last = line;
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw damaged('it cannot be unpacked', error);
  } finally {
    source.destroy();
  }
  const { lines, sha256 } = parse(last ?? '{}');
  if (lines !== count || sha256 !== hash.digest('hex')) throw damaged('its checksum is wrong');
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function parse(line: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(line)) as Record<string, unknown>;
  } catch (error) {
    throw damaged('a line is no JSON', error);
  }
}

function damaged(how: string, cause?: unknown): Fault {
  return new Fault(Code.DataLoss, `Cannot read this snapshot: ${how}`, {
    reason: 'snapshot_damaged',
    hint: 'Use another one, or let sync make a full pass.',
    ...(cause === undefined ? {} : { cause }),
  });
}
