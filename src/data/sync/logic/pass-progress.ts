/** Why something was not taken in. */
export type SkipReason = 'link' | 'special' | 'unreadable' | 'too-long' | 'loop' | 'mount-away' | 'same-name' | 'no-path';

/** In words for people. */
export const skipWords: Readonly<Record<SkipReason, string>> = {
  link: 'links are not followed',
  special: 'it is a device, a socket or a pipe',
  unreadable: 'it cannot be read; what is known of it is kept',
  'too-long': 'its path is too long',
  loop: 'it is a folder around itself, by a mount',
  'mount-away': 'another disk was mounted there and is not now; what is known of it is kept',
  'same-name': 'this volume takes its name for that of another',
  'no-path': 'its key is no path, or that of a folder; it is seen over S3 only',
};

/** One change that a pass has found, for people. */
export interface FoundChange {
  readonly kind: 'create' | 'update' | 'delete' | 'move';
  readonly path: string;
  readonly newPath?: string;
  readonly isFolder: boolean;
  readonly nodes: number;
}

/** What a pass has found so far. */
export class PassProgress {
  seen = 0;
  created = 0;
  updated = 0;
  moved = 0;
  deleted = 0;
  /** Entries whose names are not UTF-8. */
  escaped = 0;
  readonly escapedExamples: string[] = [];
  readonly skipped = new Map<SkipReason, number>();
  readonly skippedExamples: string[] = [];
  phase: 'waiting' | 'comparing' | 'deleting' | 'done' = 'waiting';
  /** The folder being compared. */
  currentPath = '';
  /** As many entries as the index knew; 0: not known. */
  expected = 0;
  /** The first changes, as many as are wanted. */
  readonly changes: FoundChange[] = [];
  /** `undefined`: it has not begun. Unit: monotonic milliseconds. */
  startMs: number | undefined;
  readonly path: string;
  readonly isDryRun: boolean;
  readonly #changesMax: number;

  constructor({ path = '', isDryRun = false, changesMax = 0 } = {}) {
    this.path = path;
    this.isDryRun = isDryRun;
    this.#changesMax = changesMax;
  }

  /** Unit: entries per second. */
  get rate(): number {
    if (this.startMs === undefined) return 0;
    return this.seen / Math.max(0.001, (performance.now() - this.startMs) / 1000);
  }

  /** Unit: seconds; `undefined` when it cannot be told. */
  get remainingSeconds(): number | undefined {
    if (this.phase === 'done') return 0;
    return this.rate > 0 && this.expected >= this.seen ? (this.expected - this.seen) / this.rate : undefined;
  }

  get skippedCount(): number {
    return [...this.skipped.values()].reduce((sum, count) => sum + count, 0);
  }

  begin(expected: number): void {
    this.startMs ??= performance.now();
    this.phase = 'comparing';
    this.expected = expected;
  }

  note(change: FoundChange): void {
    if (this.changes.length < this.#changesMax) this.changes.push(change);
  }

  skip(path: string, reason: SkipReason): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
    if (this.skippedExamples.length < examplesMax) this.skippedExamples.push(`${path}: ${skipWords[reason]}`);
  }

  see(count: number, escaped: readonly string[]): void {
    this.seen += count;
    this.escaped += escaped.length;
    for (const path of escaped) if (this.escapedExamples.length < examplesMax) this.escapedExamples.push(path);
  }
}

const examplesMax = 20;
