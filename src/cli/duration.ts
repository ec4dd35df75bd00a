import { invalidArgument } from '#kernel/fault.ts';

const secondsPer: Readonly<Record<string, number>> = { s: 1, min: 60, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };

/** Seconds of `45s`, `30m`, `12h`, `90d`, `2w` or `1y`. Errors: `invalid_argument`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w|y)$/.exec(text.trim());
  const seconds = Number(match?.[1]) * (secondsPer[match?.[2] ?? ''] ?? Number.NaN);
  if (!(seconds > 0))
    throw invalidArgument(`Cannot read "${text}" as a time: it is not a number with a unit, such as 12h or 90d`);
  return seconds;
}

/** Whole seconds of a time, or of a number without a unit; 0 when nothing is given. Errors: `invalid_argument`. */
export function parseSeconds(text: string | undefined): number {
  if (text === undefined) return 0;
  return /^\d{1,9}$/.test(text) ? Number(text) : Math.ceil(parseDuration(text));
}
