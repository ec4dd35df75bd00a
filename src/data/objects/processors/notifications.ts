import { createHash } from 'node:crypto';
import type { Database } from '#kernel/database/database.ts';
import { unavailable } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import { createConsumer } from '#kernel/streams/consumer.ts';
import type { Stream, StreamEvent } from '#kernel/streams/streams.ts';
import { type Backoff, backoffMs } from '#lib/backoff.ts';
import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import type { BucketSettings, NotificationRule } from '#s3/bucket-settings.ts';
import { eventsOf, isWanted, notificationBody } from '../logic/notification-records.ts';
import { readChangeEvent } from '../rpc/change-event.ts';
import { type Delivery, type DeliveryStore, type DueDelivery, openDeliveryStore } from '../store/deliveries.ts';
import { sendWebhook, type WebhookOptions } from './send-webhook.ts';

export interface NotificationsOptions {
  /** Our own changes, and the database they are in. */
  readonly stream: Stream;
  readonly database: Database;
  /** Of every bucket, by name. Costs next to nothing. */
  readonly allSettings: () => Promise<ReadonlyMap<string, BucketSettings>>;
  readonly webhook: () => WebhookOptions;
  readonly log: Log;
  /** Called for each attempt: `told`, `failed`, or `given_up`. */
  readonly observe?: (outcome: 'told' | 'failed' | 'given_up') => void;
  readonly now: () => number;
  readonly retry?: Backoff;
  /** More than this many wait for nobody: no further changes are looked at until some are gone. */
  readonly queueMax?: number;
}

/** For so long is tried what fails. */
const patienceMs = 24 * 3_600_000;
const atOnce = 16;

/** Tells receivers of rules what happened to the objects of a bucket. */
export interface Notifications {
  run(signal: AbortSignal): Promise<void>;
  /** To be called when rules were changed, before that is acknowledged: what happens from then on is told. */
  refresh(): Promise<void>;
}

/**
 * Receivers are told until they have heard it or a day has passed. At least once: whoever is told the same twice sees the same
 * `x-cellar-delivery`.
 *
 * A consumer of the stream of changes puts what is to be told into a table, in the transaction that advances its cursor, so nothing is lost
 * whenever the process ends; a second loop sends it. While no bucket has rules nothing is consumed.
 */
export async function createNotifications(options: NotificationsOptions): Promise<Notifications> {
  const { stream, database, allSettings, log, now, queueMax = 10_000 } = options;
  const store = await openDeliveryStore(database);
  const [bell, turned] = [createBell(), createBell()];
  const consumer = createConsumer({
    name: consumerName,
    source: stream,
    database,
    // Rules are about what happens from now on.
    from: 'end',
    log,
    now,
    handler: async (tx, events) => {
      if ((await store.count()) >= queueMax) throw unavailable('Too many notifications wait for receivers that do not answer');
      const settings = await allSettings();
      const deliveries = events.flatMap((event) => deliveriesOf(event, settings, now()));
      if (deliveries.length === 0) return;
      await store.add(tx, deliveries);
      tx.afterCommit(() => bell.ring());
    },
  });
  const hasRules = async (): Promise<boolean> => [...(await allSettings()).values()].some((one) => rulesOf(one).length > 0);
  let isOn = await hasRules();
  let round = new AbortController();

  async function consumeLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (isOn) await consumer.run(AbortSignal.any([signal, round.signal]));
      else await turned.wait(60_000, signal);
    }
  }

  return {
    run: async (signal) => void (await Promise.all([consumeLoop(signal), sendLoop(store, bell, options, signal)])),
    async refresh() {
      const isWantedNow = await hasRules();
      if (isWantedNow === isOn) return;
      if (isWantedNow) {
        // Not about what happened while there were no rules.
        await consumer.seek(await stream.head(AbortSignal.timeout(10_000)));
        round = new AbortController();
        isOn = true;
        turned.ring();
      } else {
        isOn = false;
        round.abort();
        await stream.forgetConsumer(consumerName);
      }
    },
  };
}

const consumerName = 'notifications';

const rulesOf = ({ notifications = [] }: BucketSettings): readonly NotificationRule[] =>
  notifications.filter(({ target }) => target !== '');

function deliveriesOf(event: StreamEvent, allSettings: ReadonlyMap<string, BucketSettings>, nowMs: number): readonly Delivery[] {
  const change = readChangeEvent(event);
  const settings = allSettings.get(change.bucket);
  if (!settings) return [];
  return eventsOf(change).flatMap((one, part) =>
    rulesOf(settings)
      .filter((rule) => isWanted(rule, one))
      .map((rule) => ({
        ...{ position: change.position, rule: rule.id, part, target: rule.target, createdMs: nowMs },
        body: JSON.stringify(notificationBody(change, one, rule, settings.owner.id)),
      })),
  );
}

async function sendLoop(
  store: DeliveryStore,
  bell: ReturnType<typeof createBell>,
  { webhook, log, now, observe = () => undefined, retry = { firstMs: 1_000, maxMs: 300_000 } }: NotificationsOptions,
  signal: AbortSignal,
): Promise<void> {
  const send = async (delivery: DueDelivery): Promise<void> => {
    const { target, body, createdMs, attempts } = delivery;
    try {
      await sendWebhook({ url: target, body, id: idOf(delivery) }, webhook(), signal);
      observe('told');
      await store.remove(delivery);
    } catch (error) {
      if (signal.aborted) return;
      const isOver = now() - createdMs > patienceMs;
      observe(isOver ? 'given_up' : 'failed');
      if (attempts === 0 || isOver)
        log.warn('a receiver of notifications could not be told', { rule: delivery.rule, isOver, error });
      if (isOver) await store.remove(delivery);
      else await store.postpone(delivery, now() + backoffMs(retry, attempts + 1));
    }
  };
  while (!signal.aborted) {
    try {
      const due = await store.due(now(), atOnce);
      await Promise.all(due.map(send));
      if (due.length > 0) continue;
      const nextMs = await store.nextMs();
      await bell.wait(nextMs === undefined ? 60_000 : Math.min(60_000, Math.max(1, nextMs - now())), signal);
    } catch (error) {
      if (signal.aborted) return;
      log.warn('notifications cannot be sent', { error });
      await rest(retry.firstMs, signal);
    }
  }
}

const idOf = ({ position, rule, part }: Delivery): string =>
  createHash('sha256').update(`${position} ${part} ${rule}`).digest('hex').slice(0, 32);
