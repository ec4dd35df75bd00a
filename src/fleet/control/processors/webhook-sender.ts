import { fromBinary } from '@bufbuild/protobuf';
import { type FleetEvent as EventMessage, FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { Database, Transaction } from '#kernel/database/database.ts';
import { aborted, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { WebhookAnswer, WebhookPost } from '#kernel/post-webhook.ts';
import type { StreamEvent, StreamSource } from '#kernel/streams/streams.ts';
import { createBell } from '#lib/bell.ts';
import { rest } from '#lib/rest.ts';
import { createWorkQueue } from '#lib/work-queue.ts';
import type { FleetEvent } from '../logic/events.ts';
import { type Attempt, dueInMs, isHeard, isTooOld, judgeAttempt, type WebhookLimits } from '../logic/judge-attempt.ts';
import { isWanted, pingMessage, type WebhookMessage, webhookHeaders, webhookMessage } from '../logic/webhook-message.ts';
import type { StoredDelivery, StoredWebhook, WebhookStore } from '../store/webhooks.ts';

export type Outcome = 'delivered' | 'failed' | 'given_up';

export interface WebhookSenderParts {
  readonly database: Database;
  readonly store: WebhookStore;
  readonly source: StreamSource;
  /** Position before the oldest event that is kept. */
  readonly oldest: () => Promise<number>;
  readonly append: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  /** The secrets that sign now, in plain text. */
  readonly secretsOf: (webhook: StoredWebhook) => Promise<readonly string[]>;
  readonly post: (post: WebhookPost, signal: AbortSignal) => Promise<WebhookAnswer>;
  readonly limits: () => WebhookLimits;
  readonly concurrency: number;
  readonly observe: (outcome: Outcome, durationMs: number) => void;
  readonly fleet: string;
  readonly newId: () => string;
  readonly now: () => number;
  readonly log: Log;
}

export interface WebhookSender {
  /** Tells events until the signal fires. One sender at a time among all replicas; two would tell some events twice. */
  run(signal: AbortSignal): Promise<void>;
  /** Webhooks were added, changed or removed. */
  refresh(): void;
  /** Sends one message at once and notes what came of it. Errors: only those of the database. */
  ping(webhook: StoredWebhook, signal: AbortSignal): Promise<StoredDelivery>;
}

const pageSize = 100;
/** After so long another webhook has its turn. */
const sliceMs = 1000;
/** So many events that it does not want are read again after a kill at most. */
const unwantedMax = 1000;
const keptMax = 1000;
/** Changes that another replica has made are seen after so long. */
const listMs = 30_000;
const retryMs = 1000;

/**
 * Tells each webhook the events it wants, one after the other. Its position is written after the receiver has heard, so a kill between tells
 * the event again, with the same id, and loses none. Webhooks do not wait for each other.
 */
export function createWebhookSender(parts: WebhookSenderParts): WebhookSender {
  const { database, store, source, now, log, limits, observe } = parts;
  const bell = createBell();
  /** Up to where events were read and not wanted, which is not written each time. By `uid`. */
  const reached = new Map<string, number>();
  let running: AbortSignal = AbortSignal.abort();

  const queue = createWorkQueue({
    concurrency: parts.concurrency,
    work: async (name) => {
      try {
        await tell(name, running);
      } catch (error) {
        if (running.aborted) return;
        const isMoved = Fault.from(error).reason === 'version_differs';
        if (!isMoved) log.warn('a webhook could not go on', { webhook: name, error });
        queue.add(name, isMoved ? 0 : retryMs);
      }
    },
  });

  async function tell(name: string, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + sliceMs;
    let webhook = await store.webhook(name);
    let events: readonly EventMessage[] = [];
    while (webhook?.isEnabled && !signal.aborted) {
      const waitMs = dueInMs(webhook, now(), limits());
      if (waitMs > 0) return queue.add(name, waitMs);
      const [event, ...later] = events;
      if (event) {
        webhook = await tellEvent(webhook, event, signal);
        // One that was not heard comes again before those behind it.
        events = webhook.position === Number(event.position) ? later : [];
      } else {
        const page = await readOn(webhook, signal);
        if (page === 'end') return;
        if (page === 'moved') return queue.add(name);
        events = page;
      }
      if (performance.now() > endMs) return queue.add(name);
    }
  }

  /** The wanted ones of the next events; `moved`: the webhook is to be read again. */
  async function readOn(webhook: StoredWebhook, signal: AbortSignal): Promise<readonly EventMessage[] | 'end' | 'moved'> {
    const after = Math.max(webhook.position, reached.get(webhook.uid) ?? 0);
    let events: readonly StreamEvent[];
    try {
      events = await source.read(after, pageSize, signal);
    } catch (error) {
      const { reason } = Fault.from(error);
      if (reason !== 'stream_trimmed' && reason !== 'stream_rewound') throw error;
      await skipTo(webhook, reason === 'stream_trimmed' ? await parts.oldest() : await source.head(signal));
      return 'moved';
    }
    const last = events.at(-1)?.position;
    if (last === undefined) return 'end';
    // What happened after a change of the webhook is told as it is then.
    if ((await store.webhook(webhook.name))?.version !== webhook.version) return 'moved';
    const wanted = events.map(eventOf).filter((event) => isWanted(webhook, event));
    if (wanted.length > 0) return wanted;
    reached.set(webhook.uid, last);
    if (last - webhook.position < unwantedMax) return [];
    await database.transaction((tx) => update(tx, { ...webhook, position: last }));
    return 'moved';
  }

  /** Events between are gone from the stream, or it was set back: said where people look, and gone on behind. */
  async function skipTo(webhook: StoredWebhook, position: number): Promise<void> {
    const nowMs = now();
    const message =
      position > webhook.position
        ? `Events after position ${webhook.position} up to ${position} are not kept any more`
        : `The events were set back from position ${webhook.position} to ${position}`;
    reached.delete(webhook.uid);
    await database.transaction(async (tx) => {
      await update(tx, { ...webhook, position });
      const times = { firstMs: nowMs, lastMs: nowMs, durationMs: 0, status: 0, attempts: 0 };
      const what = { webhook: webhook.name, id: `gap_${position}_${nowMs}`, position, type: 'EventsLost', message } as const;
      await store.putDelivery(tx, { ...what, ...times, state: 'given_up' });
    });
    observe('given_up', 0);
  }

  async function tellEvent(webhook: StoredWebhook, event: EventMessage, signal: AbortSignal): Promise<StoredWebhook> {
    const position = Number(event.position);
    const message = webhookMessage(parts.fleet, event);
    const eventMs = Number(event.time?.seconds ?? 0n) * 1000;
    if (isTooOld(webhook, eventMs, now(), limits())) return await giveUp(webhook, position, message);
    const attempt = { ...(await send(webhook, message, signal)), position };
    const { webhook: after, delivery, isDisabled } = judgeAttempt(webhook, attempt, now(), limits());
    const done = await database.transaction(async (tx) => {
      const updated = await update(tx, after);
      await store.putDelivery(tx, delivery);
      await store.trimDeliveries(tx, webhook.name, keptMax);
      if (isDisabled) await parts.append(tx, [disabledEvent(after)]);
      return updated;
    });
    observe(isHeard(attempt.status) ? 'delivered' : 'failed', attempt.durationMs);
    if (after.attempts === 1) log.info('a webhook has failed', { webhook: webhook.name, message: after.message });
    return done;
  }

  async function giveUp(webhook: StoredWebhook, position: number, { id, type }: WebhookMessage): Promise<StoredWebhook> {
    const times = { firstMs: now(), lastMs: now(), durationMs: 0, status: 0, attempts: 0 };
    const what = { webhook: webhook.name, id, position, type, message: `Given up: ${webhook.message}` } as const;
    const done = await database.transaction(async (tx) => {
      const updated = await update(tx, { ...webhook, position });
      await store.putDelivery(tx, { ...what, ...times, state: 'given_up' });
      return updated;
    });
    observe('given_up', 0);
    return done;
  }

  /** One attempt; whatever goes wrong is its result. Errors: when the signal fires. */
  async function send(webhook: StoredWebhook, message: WebhookMessage, signal: AbortSignal): Promise<Attempt> {
    const { id, type, body } = message;
    const startMs = performance.now();
    const result = (status: number, why: string, retryAfterMs: number): Attempt => {
      const durationMs = Math.round(performance.now() - startMs);
      return { id, type, position: 0, status, message: why, retryAfterMs, durationMs };
    };
    try {
      const headers = webhookHeaders(await parts.secretsOf(webhook), id, now(), body);
      const { status, retryAfterMs } = await parts.post({ url: webhook.url, body, headers }, signal);
      return result(status, '', retryAfterMs);
    } catch (error) {
      signal.throwIfAborted();
      const { message: why, hint } = Fault.from(error);
      return result(0, hint ? `${why}. ${hint}` : why, 0);
    }
  }

  /** Errors: `aborted` with reason `version_differs`: somebody has changed the webhook, so look at it again. */
  async function update(tx: Transaction, webhook: StoredWebhook): Promise<StoredWebhook> {
    const updated = await store.updateWebhook(tx, webhook);
    if (updated !== 'conflict') return updated;
    throw aborted(`Webhook "${webhook.name}" was changed meanwhile`, { reason: 'version_differs' });
  }

  /** Has all of them go on at each event, until something about webhooks has changed. */
  async function follow(signal: AbortSignal): Promise<void> {
    const names: string[] = [];
    const head = await source.head(signal);
    for (
      let page = await store.webhooks('', pageSize);
      page.length > 0;
      page = await store.webhooks(page.at(-1)?.name ?? '', pageSize)
    )
      names.push(...page.filter(({ isEnabled }) => isEnabled).map(({ name }) => name));
    const wakeAll = (): void => {
      for (const name of names) queue.add(name);
    };
    wakeAll();
    const round = new AbortController();
    const changed = bell.wait(listMs, AbortSignal.any([signal, round.signal])).then(() => round.abort());
    try {
      if (names.length === 0) return;
      for await (const _ of source.subscribe({ after: head, signal: round.signal })) wakeAll();
    } catch (error) {
      if (!round.signal.aborted) throw error;
    } finally {
      if (names.length > 0) round.abort();
      await changed;
    }
  }

  return {
    refresh: () => bell.ring(),
    async run(signal) {
      running = signal;
      const working = queue.run(signal);
      while (!signal.aborted) {
        try {
          await follow(signal);
        } catch (error) {
          if (signal.aborted) break;
          log.warn('webhooks cannot go on', { error });
          await rest(retryMs, signal);
        }
      }
      await working;
    },
    async ping(webhook, signal) {
      const attempt = await send(webhook, pingMessage(parts.newId(), webhook.name, now()), signal);
      const { delivery } = judgeAttempt(webhook, attempt, now(), limits());
      const isWell = isHeard(attempt.status);
      // A ping is not tried again.
      const noted: StoredDelivery = isWell ? delivery : { ...delivery, state: 'given_up' };
      await database.transaction(async (tx) => {
        await store.putDelivery(tx, noted);
        // It answers again, so what waits for it need not wait longer.
        if (isWell && webhook.nextMs > 0) await store.updateWebhook(tx, { ...webhook, nextMs: 0 });
      });
      if (isWell) bell.ring();
      return noted;
    },
  };
}

const eventOf = ({ payload, position }: StreamEvent): EventMessage => ({
  ...fromBinary(FleetEventSchema, payload),
  position: BigInt(position),
});

function disabledEvent({ name, message }: StoredWebhook): FleetEvent {
  const why = { reason: 'WebhookDisabled', message: `Webhook ${name} is told nothing any more: ${message}` };
  return { kind: 'webhook', name, actor: 'webhooks', severity: 'error', ...why };
}
