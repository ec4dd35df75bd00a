/** The greatest label: all are integers that a number holds exactly. */
export const labelMax = Number.MAX_SAFE_INTEGER;

/** Usual distance between neighbours at the end of the order: room for ninety insertions at one place before anything is renumbered. */
export const labelStride = 2 ** 20;

export interface LabelRun {
  readonly first: number;
  /** Distance from one to the next; at least 1. */
  readonly step: number;
}

/**
 * `count` labels strictly between two others, or `undefined` when the gap is too small.
 *
 * A single one is put close to `low`, since the next insertion tends to come right after it; several are spread.
 */
export function labelsBetween(low: number, high: number, count: number): LabelRun | undefined {
  const room = high - low - 1;
  if (room < count) return undefined;
  const share = count === 1 ? Math.ceil(room / 8) : Math.floor(room / (count + 1));
  const step = Math.max(1, Math.min(labelStride, share));
  return { first: low + step, step };
}
