import type { Metrics } from '#kernel/services/service.ts';
import type { ClusterCount, FleetCounts, HostCount } from './count-fleet.ts';
import type { FleetEvent } from './events.ts';

/** The fleet's numbers for `/metrics`. Labels are hosts, blueprints, states and words of ours: no cluster, no user. */
export interface FleetMetrics {
  /** What gauges show from now on; nothing: this replica does not watch, and shows none. */
  show(figures: Shown | undefined): void;
  happened(events: readonly FleetEvent[]): void;
  /** Unit of all durations: milliseconds. */
  applied(durationMs: number): void;
  refused(reason: string): void;
  ready(blueprint: string, durationMs: number): void;
  operationEnded(verb: string, outcome: string, durationMs: number): void;
  passed(durationMs: number): void;
  delivered(outcome: string, durationMs: number): void;
}

export interface Shown {
  readonly counts: FleetCounts;
  readonly waiting: number;
  readonly webhooks: Readonly<Record<'enabled' | 'failing' | 'disabled', number>>;
}

const quick = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const slow = [0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
const passes = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createFleetMetrics(metrics: Omit<Metrics, 'render'>): FleetMetrics {
  let shown: Shown | undefined;
  const clusters = (
    name: string,
    help: string,
    labels: (count: ClusterCount) => Readonly<Record<string, string>> | undefined,
  ): void =>
    metrics.gauges(name, help, () =>
      (shown?.counts.clusters ?? []).flatMap((count) => {
        const found = labels(count);
        return found ? [{ labels: found, value: count.count }] : [];
      }),
    );
  const hosts = (name: string, help: string, value: (count: HostCount) => number): void =>
    metrics.gauges(name, help, () =>
      (shown?.counts.hosts ?? []).map((count) => ({ labels: { host: count.host }, value: value(count) })),
    );

  clusters('cellar_fleet_clusters', 'Clusters by host, blueprint and state.', ({ host, blueprint, state }) => ({
    host,
    blueprint,
    state,
  }));
  clusters('cellar_fleet_clusters_by_health', 'Clusters by health.', ({ health }) => ({ health }));
  clusters('cellar_fleet_clusters_free', 'Clusters that can be given out, by blueprint.', ({ isFree, blueprint }) =>
    isFree ? { blueprint } : undefined,
  );
  clusters('cellar_fleet_clusters_used', 'Clusters that somebody has, by blueprint.', ({ isUsed, blueprint }) =>
    isUsed ? { blueprint } : undefined,
  );
  metrics.gauges('cellar_fleet_hosts', 'Hosts by type and state.', () =>
    (shown?.counts.hosts ?? []).map(({ type, state }) => ({ labels: { type, state }, value: 1 })),
  );
  hosts('cellar_fleet_host_capacity', 'Most clusters of a host.', ({ capacity }) => capacity);
  hosts('cellar_fleet_host_clusters', 'Clusters on a host.', (count) => count.clusters);
  hosts('cellar_fleet_host_clusters_free', 'Clusters of a host that can be given out.', ({ free }) => free);
  hosts('cellar_fleet_host_clusters_used', 'Clusters of a host that somebody has.', ({ used }) => used);
  metrics.gauges('cellar_fleet_claims_waiting', 'Claims that wait for a cluster.', () =>
    shown ? [{ labels: {}, value: shown.waiting }] : [],
  );
  metrics.gauges('cellar_fleet_webhooks', 'Webhooks by how they are.', () =>
    Object.entries(shown?.webhooks ?? {}).map(([state, value]) => ({ labels: { state }, value })),
  );
  const applySeconds = metrics.histogram('cellar_fleet_apply_seconds', 'Time to answer a request for a cluster with one.', quick);
  const passSeconds = metrics.histogram('cellar_fleet_watchdog_pass_seconds', 'Time of a look at everything.', passes);
  const deliverySeconds = metrics.histogram(
    'cellar_fleet_webhook_delivery_seconds',
    'Time of an attempt to tell a webhook.',
    quick,
  );

  return {
    show(figures) {
      shown = figures;
    },
    happened(events) {
      for (const { reason } of events) metrics.counter('cellar_fleet_events_total', 'Events by type.', { type: reason }).add();
    },
    applied: (durationMs) => applySeconds.observe(durationMs / 1000),
    refused: (reason) => metrics.counter('cellar_fleet_refused_total', 'Requests for a cluster that got none.', { reason }).add(),
    ready: (blueprint, durationMs) =>
      metrics
        .histogram('cellar_fleet_ready_seconds', 'Time from the wish for a cluster to its being ready.', slow, { blueprint })
        .observe(durationMs / 1000),
    operationEnded: (verb, outcome, durationMs) =>
      metrics
        .histogram('cellar_fleet_operation_seconds', 'Time of operations.', slow, { verb, outcome })
        .observe(durationMs / 1000),
    passed: (durationMs) => passSeconds.observe(durationMs / 1000),
    delivered(outcome, durationMs) {
      metrics.counter('cellar_fleet_webhook_deliveries_total', 'What came of telling webhooks.', { outcome }).add();
      if (outcome !== 'given_up') deliverySeconds.observe(durationMs / 1000);
    },
  };
}
