import type { LogLine } from '../../driver/driver.ts';
import { lineLengthMax, logLine } from '../logic/log-line.ts';
import { readFrames } from './read-frames.ts';

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
