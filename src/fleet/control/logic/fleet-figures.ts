import type { Log } from '#kernel/log.ts';
import type { Metrics } from '#kernel/services/service.ts';
import { rest } from '#lib/rest.ts';
import type { FigureStore } from '../store/figures.ts';
import type { FleetStore } from '../store/store.ts';
import type { WebhookStore } from '../store/webhooks.ts';
import { countFleet } from './count-fleet.ts';
import type { FleetEvent } from './events.ts';
import { createFleetMetrics, type FleetMetrics } from './fleet-metrics.ts';
import { createStatistics, type Statistics } from './statistics.ts';

export interface FiguresParts {
  readonly store: FleetStore;
  readonly webhooks: Pick<WebhookStore, 'webhooks'>;
  readonly figures: FigureStore;
  readonly metrics: Omit<Metrics, 'render'>;
  readonly now: () => number;
  readonly log: Log;
}

/** The fleet in numbers: as metrics of now, and as statistics that are kept. Unit of all durations: milliseconds. */
export interface FleetFigures extends Pick<Statistics, 'read'>, Pick<FleetMetrics, 'delivered'> {
  applied(blueprint: string, durationMs: number): void;
  refused(reason: string): void;
  /** What was committed. */
  notice(events: readonly FleetEvent[]): void;
  /** Measures, after a look at everything that took so long. */
  passed(durationMs: number): Promise<void>;
  /** Somebody else watches from now on, and shows how things are. */
  hide(): void;
  /** Writes what was measured every few seconds, and once more when the signal has fired. */
  keep(signal: AbortSignal): Promise<void>;
}

const pageSize = 500;
const flushMs = 5000;
const webhooksMax = 1000;
const outcomes: Readonly<Record<string, string>> = {
  OperationDone: 'done',
  OperationFailed: 'failed',
  OperationCancelled: 'cancelled',
};

export function createFleetFigures(parts: FiguresParts): FleetFigures {
  const { store, figures, now, log } = parts;
  const metrics = createFleetMetrics(parts.metrics);
  const statistics = createStatistics(store, figures, now);

  async function noteReady(name: string): Promise<void> {
    const cluster = await store.cluster(name);
    // One that was started again was ready before, and is not counted.
    if (cluster?.readyMs === undefined || cluster.readyMs < cluster.sinceMs) return;
    const durationMs = cluster.readyMs - cluster.sinceMs;
    statistics.ready(cluster.blueprint, durationMs);
    metrics.ready(cluster.blueprint, durationMs);
  }

  async function noteOperation(id: string, outcome: string): Promise<void> {
    const operation = await store.operation(id);
    if (operation) metrics.operationEnded(operation.verb, outcome, operation.endedMs - operation.createdMs);
  }

  async function hosts() {
    const found = [];
    for (let page = await store.hosts('', pageSize); page.length > 0; page = await store.hosts(page.at(-1)?.name ?? '', pageSize))
      found.push(...page);
    return found;
  }

  async function webhooks() {
    const counts = { enabled: 0, failing: 0, disabled: 0 };
    for (const { isEnabled, attempts } of await parts.webhooks.webhooks('', webhooksMax))
      counts[isEnabled ? (attempts > 0 ? 'failing' : 'enabled') : 'disabled'] += 1;
    return counts;
  }

  const soon = (what: Promise<void>): void => {
    what.catch((error: unknown) => log.debug('a duration could not be noted', { error }));
  };

  return {
    applied(blueprint, durationMs) {
      statistics.applied(blueprint, durationMs);
      metrics.applied(durationMs);
    },
    refused(reason) {
      statistics.refused();
      metrics.refused(reason);
    },
    delivered: metrics.delivered,
    read: statistics.read,
    notice(events) {
      metrics.happened(events);
      for (const { kind, name, reason } of events) {
        if (reason === 'ClusterReady') soon(noteReady(name));
        const outcome = kind === 'operation' ? outcomes[reason] : undefined;
        if (outcome !== undefined) soon(noteOperation(name, outcome));
      }
    },
    async passed(durationMs) {
      metrics.passed(durationMs);
      const counts = countFleet(await hosts(), await figures.clusterCounts());
      const waiting = await figures.waitingClaims();
      metrics.show({ counts, waiting, webhooks: await webhooks() });
      await statistics.sample(counts, waiting);
    },
    hide: () => metrics.show(undefined),
    async keep(signal) {
      for (let isLast = false; !isLast; ) {
        await rest(flushMs, signal);
        isLast = signal.aborted;
        try {
          await statistics.flush();
        } catch (error) {
          log.warn('statistics could not be written', { error });
        }
      }
    },
  };
}
