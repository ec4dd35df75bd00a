import type { LogLine } from '../../driver/driver.ts';
import { readFrames } from './read-frames.ts';

const lineLengthMax = 16 * 1024;

/** The lines of what an engine answers for logs with time stamps. */
export async function* logLines(member: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<LogLine> {
  const rest = { 1: '', 2: '' };
  for await (const { output, bytes } of readFrames(chunks)) {
    const lines = (rest[output] + bytes.toString()).split('\n');
    rest[output] = (lines.pop() ?? '').slice(0, lineLengthMax);
    for (const line of lines) yield logLine(member, line, output === 2);
  }
  for (const output of [1, 2] as const) if (rest[output] !== '') yield logLine(member, rest[output], output === 2);
}

/** A line with its time stamp in front. */
function logLine(member: string, line: string, isError: boolean): LogLine {
  const at = line.indexOf(' ');
  const timeMs = Date.parse(line.slice(0, at < 0 ? line.length : at));
  if (Number.isNaN(timeMs)) return { member, timeMs: 0, text: line.slice(0, lineLengthMax), isError };
  return { member, timeMs, text: at < 0 ? '' : line.slice(at + 1, at + 1 + lineLengthMax).replace(/\r$/, ''), isError };
}

/** Several at once, each line as it comes. */
export async function* merged<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T> {
  const readers = sources.map((source) => source[Symbol.asyncIterator]());
  const next = (at: number) => readers[at]!.next().then((result) => ({ at, result }));
  const pending = new Map(readers.map((_, at) => [at, next(at)]));
  try {
    while (pending.size > 0) {
      const { at, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(at);
      else {
        pending.set(at, next(at));
        yield result.value;
      }
    }
  } finally {
    for (const [at, waiting] of pending) {
      waiting.catch(() => undefined); // Nobody comes for it any more.
      void readers[at]?.return?.(undefined).catch(() => undefined);
    }
  }
}
