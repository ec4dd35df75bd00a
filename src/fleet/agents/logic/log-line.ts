import type { LogLine } from '../../driver/driver.ts';

/** Of one line; what is longer is cut. */
export const lineLengthMax = 16 * 1024;

/** A line with its time stamp in front. */
export function logLine(member: string, line: string, isError: boolean): LogLine {
  const at = line.indexOf(' ');
  const timeMs = Date.parse(line.slice(0, at < 0 ? line.length : at));
  if (Number.isNaN(timeMs)) return { member, timeMs: 0, text: line.slice(0, lineLengthMax), isError };
  return { member, timeMs, text: at < 0 ? '' : line.slice(at + 1, at + 1 + lineLengthMax).replace(/\r$/, ''), isError };
}
