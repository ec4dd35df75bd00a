import { once } from 'node:events';
import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type LogLine, LogLineSchema } from '#gen/cellar/platform/v1/services_pb.ts';
import { isSystemError } from '#lib/system-error.ts';

export interface ReadLogOptions {
  readonly path: string;
  /** Full name, or the beginning of several up to a dot; empty: all. */
  readonly service: string;
  /** Least serious level; empty: all. */
  readonly level: string;
  /** How many of the newest lines to begin with. */
  readonly lines: number;
  readonly isFollowing: boolean;
  readonly signal: AbortSignal;
}

const blockBytes = 64 * 1024;
/** How far back a search for rare lines goes. Unit: bytes. */
const searchBytesMax = 64 * 1024 * 1024;
const ranks: Readonly<Record<string, number>> = { debug: 10, info: 20, warn: 30, error: 40 };

/** Lines of the log, oldest first; with `isFollowing` also those still to come, across rotations, until the signal fires. */
export async function* readLog(options: ReadLogOptions): AsyncGenerator<LogLine, void, undefined> {
  const { path, signal, isFollowing } = options;
  let file = await openIfThere(path);
  const wake = new AbortController();
  // The watcher looks at the folder: the file itself is replaced by rotation.
  const watcher = isFollowing ? watch(dirname(path), { persistent: false }) : undefined;
  try {
    let position = 0;
    if (file) {
      const { lines, endBytes } = await lastLines(file, options);
      position = endBytes;
      yield* lines;
    }
    if (!watcher) return;
    let rest = '';
    const isWanted = matcher(options);
    while (!signal.aborted) {
      const changed = changeOf(watcher, basename(path), signal);
      file ??= await openIfThere(path);
      if (file) {
        const { text, endBytes } = await readFrom(file, position);
        position = endBytes;
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const parsed = parseLine(line);
          if (parsed && isWanted(parsed)) yield parsed;
        }
        if (text) continue;
        if (await isReplaced(file, path)) {
          await file.close();
          file = undefined;
          position = 0;
          rest = '';
          continue;
        }
      }
      await changed;
    }
  } finally {
    wake.abort();
    watcher?.close();
    await file?.close();
  }
}

/** Resolves at the next change of a file in the watched folder, or after a second: a missed notice only delays. */
async function changeOf(watcher: ReturnType<typeof watch>, name: string, signal: AbortSignal): Promise<void> {
  const controller = new AbortController();
  const limit = AbortSignal.any([controller.signal, signal, AbortSignal.timeout(1000)]);
  try {
    while (true) {
      const [, changed] = (await once(watcher, 'change', { signal: limit })) as [string, string | null];
      if (changed === name) return;
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  } finally {
    controller.abort();
  }
}

async function lastLines(file: FileHandle, options: ReadLogOptions): Promise<{ lines: LogLine[]; endBytes: number }> {
  const { size } = await file.stat();
  const isWanted = matcher(options);
  const found: LogLine[] = [];
  let start = size;
  // Bytes, not text: a block may begin in the middle of a character.
  let head: Buffer = Buffer.alloc(0);
  let endBytes = size;
  let isFirst = true;
  while (start > 0 && found.length < options.lines && size - start < searchBytesMax) {
    const length = Math.min(blockBytes, start);
    start -= length;
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, start);
    let bytes: Buffer = Buffer.concat([block, head]);
    if (isFirst) {
      const end = bytes.lastIndexOf(10) + 1;
      endBytes = start + end;
      bytes = bytes.subarray(0, end);
      isFirst = false;
    }
    const cut = start === 0 ? 0 : bytes.indexOf(10) + 1;
    head = bytes.subarray(0, cut);
    const lines = bytes.subarray(cut).toString('utf8').split('\n');
    for (const line of lines.toReversed()) {
      const parsed = parseLine(line);
      if (parsed && isWanted(parsed) && found.push(parsed) >= options.lines) break;
    }
  }
  return { lines: found.toReversed(), endBytes };
}

async function readFrom(file: FileHandle, position: number): Promise<{ text: string; endBytes: number }> {
  const block = Buffer.alloc(blockBytes);
  const { bytesRead } = await file.read(block, 0, blockBytes, position);
  // Up to the last newline, so that no character is cut; a longer line than a block is passed on in parts.
  const end = bytesRead < blockBytes ? bytesRead : block.lastIndexOf(10) + 1 || bytesRead;
  return { text: block.toString('utf8', 0, end), endBytes: position + end };
}

function matcher({ service, level }: ReadLogOptions): (line: LogLine) => boolean {
  const least = ranks[level] ?? 0;
  return (line) =>
    (ranks[line.level] ?? 100) >= least && (service === '' || line.service === service || line.service.startsWith(`${service}.`));
}

/** A line that is no JSON is not one of ours; it is skipped. */
function parseLine(json: string): LogLine | undefined {
  if (!json.startsWith('{')) return undefined;
  try {
    const { time, level, message, service } = JSON.parse(json) as Record<string, unknown>;
    return create(LogLineSchema, {
      time: timestampFromMs(Date.parse(String(time))),
      level: String(level),
      message: String(message),
      service: typeof service === 'string' ? service : '',
      json,
    });
  } catch {
    return undefined;
  }
}

async function isReplaced(file: FileHandle, path: string): Promise<boolean> {
  const there = await openIfThere(path);
  if (!there) return true;
  try {
    return (await there.stat()).ino !== (await file.stat()).ino;
  } finally {
    await there.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
