import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createBell } from '#lib/bell.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { LogLine } from '../../driver/driver.ts';

export interface LogFile {
  readonly member: string;
  readonly path: string;
}

export interface FollowOptions {
  /** Lines of each file from before. */
  readonly tail: number;
  readonly isFollowing: boolean;
}

const pieceSizeBytes = 64 * 1024;
const lineLengthMax = 16 * 1024;
/** Also when no notice came, since notices may be lost. */
const lookMs = 1000;

/** The last lines of files, and those that are still written. */
export async function* followLog(
  files: readonly LogFile[],
  { tail, isFollowing }: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const bell = createBell();
  const readers = files.map(({ member, path }) => new LineReader(member, path));
  const watchers = isFollowing ? files.map(({ path }) => watch(path, () => bell.ring())) : [];
  try {
    for (const reader of readers) {
      const earlier = [...(await readOlder(reader)), ...(await reader.read())];
      yield* tail === 0 ? [] : earlier.slice(-tail);
    }
    while (isFollowing && !signal.aborted) {
      await bell.wait(lookMs, signal);
      for (const reader of readers) yield* await reader.read();
    }
  } finally {
    for (const watcher of watchers) watcher.close();
    for (const reader of readers) await reader.close();
  }
}

/** What was cut off from a log that has grown too long. */
async function readOlder({ member, path }: LineReader): Promise<readonly LogLine[]> {
  const older = new LineReader(member, `${path}.1`);
  try {
    return await older.read();
  } finally {
    await older.close();
  }
}

class LineReader {
  readonly member: string;
  readonly path: string;
  #file: FileHandle | undefined;
  #position = 0;
  #rest = '';

  constructor(member: string, path: string) {
    this.member = member;
    this.path = path;
  }

  /** Whole lines that came since the last time. */
  async read(): Promise<readonly LogLine[]> {
    try {
      this.#file ??= await open(this.path, 'r');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return [];
      throw error;
    }
    // It was cut, and begins anew.
    if ((await this.#file.stat()).size < this.#position) {
      this.#position = 0;
      this.#rest = '';
    }
    const lines: LogLine[] = [];
    const buffer = Buffer.alloc(pieceSizeBytes);
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#position);
      if (bytesRead === 0) return lines;
      this.#position += bytesRead;
      const parts = (this.#rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      this.#rest = (parts.pop() ?? '').slice(0, lineLengthMax);
      for (const text of parts)
        lines.push({ member: this.member, timeMs: 0, text: text.slice(0, lineLengthMax), isError: false });
    }
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }
}
