export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** How long to wait before attempt `attempt + 1` (`attempt` counts from 1), in whole milliseconds: doubling, capped, half of it random. */
export function backoffMs({ firstMs, maxMs }: Backoff, attempt: number, random: () => number = Math.random): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return Math.ceil(full / 2 + (full / 2) * random());
}
