/** How many deletions at once are believed; both have to be exceeded before a person is asked. */
export interface DeleteLimits {
  readonly askAboveDeletes: number;
  /** Of all files and folders known. */
  readonly askAbovePercent: number;
}

/** True when so many of all files and folders are gone at once that a person has to confirm it. */
export function isTooMany({ askAboveDeletes, askAbovePercent }: DeleteLimits, nodes: number, total: number): boolean {
  return nodes > askAboveDeletes && nodes * 100 > total * askAbovePercent;
}
