/**
 * Reads a date of an HTTP header into milliseconds since 1970, or `undefined` when it is not one.
 * Shape: `Sun, 06 Nov 1994 08:49:37 GMT`, or ISO 8601 as S3 clients also send. Source: RFC 9110, 5.6.7.
 */
export function parseHttpDate(value: string | undefined): number | undefined {
  if (value === undefined || !/^(\w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT|\d{4}-\d{2}-\d{2}T[\d:.]+Z)$/.test(value.trim()))
    return undefined;
  const timeMs = Date.parse(value.trim());
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`. */
export const formatHttpDate = (timeMs: number): string => new Date(timeMs).toUTCString();
