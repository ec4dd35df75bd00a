import type { ClusterCount, Totals } from '../logic/count-fleet.ts';

export interface Usage extends Totals {
  /** Claims that wait. */
  readonly waiting: number;
}

/** Averages over one piece of time. */
export interface UsagePiece extends Usage {
  readonly atMs: number;
  /** How many measurements are in it. */
  readonly samples: number;
}

export interface Timing {
  /** How long it took to be ready, or to be given a cluster. */
  readonly kind: 'ready' | 'apply';
  readonly blueprint: string;
  readonly atMs: number;
  readonly durationMs: number;
}

/** Figures of now, and of times past in pieces that grow coarser. Errors: those of the database. */
export interface FigureStore {
  /** Clusters in groups. */
  clusterCounts(): Promise<readonly ClusterCount[]>;
  waitingClaims(): Promise<number>;
  /** Adds a measurement to its piece of each span, and forgets what is older than each is kept. */
  addUsage(usage: Usage, atMs: number): Promise<void>;
  /** Pieces that begin at `sinceMs` or later, in the finest span that reaches back so far. */
  usage(sinceMs: number, nowMs: number): Promise<{ readonly spanMs: number; readonly pieces: readonly UsagePiece[] }>;
  addTimings(timings: readonly Timing[]): Promise<void>;
  /** The newest, at most so many. */
  timings(kind: Timing['kind'], sinceMs: number, limit: number): Promise<readonly Timing[]>;
}
