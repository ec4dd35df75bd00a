/** What a pass has found so far. */
export interface PassProgress {
  seen: number;
  created: number;
  updated: number;
  moved: number;
  deleted: number;
  skipped: number;
  readonly skippedExamples: string[];
}

const examplesMax = 20;

export function newProgress(): PassProgress {
  return { seen: 0, created: 0, updated: 0, moved: 0, deleted: 0, skipped: 0, skippedExamples: [] };
}

export function countSkipped(progress: PassProgress, path: string, reason: string): void {
  progress.skipped += 1;
  if (progress.skippedExamples.length < examplesMax) progress.skippedExamples.push(`${path}: ${reason}`);
}
