import { type Backoff, backoffMs } from '#lib/backoff.ts';
import type { StoredDelivery, StoredWebhook } from '../store/webhooks.ts';

export interface WebhookLimits {
  readonly retry: Backoff;
  /** An event that is older than this while its receiver fails is given up. */
  readonly patienceMs: number;
  /** A receiver that has failed for so long is told nothing any more. */
  readonly failingMsMax: number;
}

/** One attempt to tell an event, and what was answered. */
export interface Attempt {
  readonly id: string;
  readonly position: number;
  readonly type: string;
  /** 0: nobody answered. */
  readonly status: number;
  /** Why it failed; of those without an answer. */
  readonly message: string;
  readonly retryAfterMs: number;
  readonly durationMs: number;
}

export interface Judgement {
  readonly webhook: StoredWebhook;
  readonly delivery: StoredDelivery;
  readonly isDisabled: boolean;
}

/** Before so many attempts in a row have failed nothing is given up and nobody disabled: the clock may have jumped. */
const attemptsMin = 10;
/** The receiver says that it wants nothing more, as Standard Webhooks has it. */
const gone = 410;

export const isHeard = (status: number): boolean => status >= 200 && status <= 299;

/** What an attempt means for the webhook and for its record. Pure. */
export function judgeAttempt(
  webhook: StoredWebhook,
  attempt: Attempt,
  nowMs: number,
  { retry, failingMsMax }: WebhookLimits,
  random?: () => number,
): Judgement {
  const { id, position, type, status, durationMs } = attempt;
  const times = { firstMs: nowMs, lastMs: nowMs, durationMs };
  const told = { ...{ webhook: webhook.name, id, position, type, status, attempts: 1 }, ...times };
  if (isHeard(status)) {
    const well = { attempts: 0, nextMs: 0, failingSinceMs: 0, successMs: nowMs, message: '' };
    const delivery: StoredDelivery = { ...told, state: 'delivered', message: '' };
    return { webhook: { ...webhook, ...well, position }, delivery, isDisabled: false };
  }
  const attempts = webhook.attempts + 1;
  const failingSinceMs = webhook.failingSinceMs || nowMs;
  const why = status === 0 ? attempt.message : `It answered ${status}`;
  const waitMs = Math.max(backoffMs(retry, attempts, random), Math.min(attempt.retryAfterMs, retry.maxMs));
  const isDisabled = status === gone || (attempts >= attemptsMin && nowMs - failingSinceMs >= failingMsMax);
  const failing = { attempts, failingSinceMs, nextMs: nowMs + waitMs, isEnabled: !isDisabled, message: why };
  return { webhook: { ...webhook, ...failing }, delivery: { ...told, state: 'failing', message: why }, isDisabled };
}

/** An event that waited too long for a receiver that fails: it is not told, and those behind it have their turn. */
export function isTooOld(webhook: StoredWebhook, eventMs: number, nowMs: number, { patienceMs }: WebhookLimits): boolean {
  return webhook.attempts >= attemptsMin && nowMs - eventMs > patienceMs;
}

/** How long until something may be sent. A time further away than any pause is of a clock that was set back. */
export function dueInMs({ nextMs }: StoredWebhook, nowMs: number, { retry }: WebhookLimits): number {
  const waitMs = nextMs - nowMs;
  return waitMs > retry.maxMs ? 0 : Math.max(0, waitMs);
}
