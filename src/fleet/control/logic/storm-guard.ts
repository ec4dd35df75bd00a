import type { StoredCluster } from '../store/store.ts';

export interface StormLimits {
  /** So many sick clusters of a host, or of all, are repaired at once whatever their share. */
  readonly sickMin: number;
  /** Above that number, nothing is rebuilt while more than this share is sick. From 0 to 1. */
  readonly sickShareMax: number;
}

/**
 * Says whether clusters may be rebuilt now. When much is sick at once the cause is rarely the clusters: rebuilding all of them would only
 * make it worse, so repair stops until people have looked or it has become less.
 */
export class StormGuard {
  readonly #limits: StormLimits;
  #total = new Map<string, number>();
  #sick = new Map<string, number>();

  constructor(limits: StormLimits) {
    this.#limits = limits;
  }

  /** Counts anew; once for each look at everything. */
  count(clusters: readonly Pick<StoredCluster, 'host' | 'state' | 'failures' | 'repairs'>[]): void {
    this.#total = new Map();
    this.#sick = new Map();
    for (const cluster of clusters) {
      const isSick = cluster.failures > 0 || cluster.state === 'failed' || cluster.repairs > 0;
      for (const group of ['', cluster.host]) {
        this.#total.set(group, (this.#total.get(group) ?? 0) + 1);
        if (isSick) this.#sick.set(group, (this.#sick.get(group) ?? 0) + 1);
      }
    }
  }

  mayRebuild(host: string): boolean {
    return [host, ''].every((group) => {
      const sick = this.#sick.get(group) ?? 0;
      return sick <= this.#limits.sickMin || sick <= (this.#total.get(group) ?? 0) * this.#limits.sickShareMax;
    });
  }
}
