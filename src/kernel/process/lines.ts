import type { Readable } from 'node:stream';

/** Longest line kept whole; a longer one is cut. Unit: characters. */
const lineLengthMax = 256 * 1024;

/** Calls `take` for every line of a stream of UTF-8 text, without its newline; also for a last one that has none. */
export function readLines(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line) take(line.slice(0, lineLengthMax));
    if (rest.length > lineLengthMax) rest = rest.slice(0, lineLengthMax);
  });
  stream.on('end', () => {
    if (rest) take(rest);
  });
}
