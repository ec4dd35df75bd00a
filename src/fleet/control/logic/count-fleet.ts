import type { HostUse, StoredCluster, StoredHost } from '../store/store.ts';

/** How many of what there is. */
export interface FleetCounts {
  readonly clusters: readonly ClusterCount[];
  readonly hosts: readonly HostCount[];
  /** Over all hosts. */
  readonly total: Totals;
}

export interface ClusterCount extends Pick<StoredCluster, 'host' | 'blueprint' | 'state' | 'health'> {
  readonly isUsed: boolean;
  readonly isFree: boolean;
  readonly count: number;
}

export interface HostCount extends HostUse {
  readonly host: string;
  readonly type: string;
  readonly state: string;
  readonly capacity: number;
}

export interface Totals {
  readonly used: number;
  readonly free: number;
  readonly clusters: number;
  /** Most clusters that the hosts take. */
  readonly capacity: number;
}

/** From what was read of hosts, and clusters counted in groups. Pure. */
export function countFleet(hosts: readonly (StoredHost & HostUse)[], clusters: readonly ClusterCount[]): FleetCounts {
  const counts = hosts.map(({ name, spec, state, clusters: all, free, used, weight }): HostCount => {
    const { type, capacity, cordoned } = spec;
    return {
      host: name,
      type,
      state: cordoned && state === 'active' ? 'cordoned' : state,
      capacity,
      clusters: all,
      free,
      used,
      weight,
    };
  });
  const sum = (pick: (count: HostCount) => number): number => counts.reduce((total, count) => total + pick(count), 0);
  const total = {
    used: sum(({ used }) => used),
    free: sum(({ free }) => free),
    clusters: sum((count) => count.clusters),
    capacity: sum(({ capacity }) => capacity),
  };
  return { clusters, hosts: counts, total };
}
