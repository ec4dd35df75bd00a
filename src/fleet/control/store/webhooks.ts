import type { Transaction } from '#kernel/database/database.ts';
import type { Labels } from '../../common/words.ts';
import type { Conflict } from './store.ts';

/** Which events are told; an empty list or no labels: all. */
export interface EventFilter {
  /** Reasons, or the beginning of some with `*` after it. */
  readonly types: readonly string[];
  readonly hosts: readonly string[];
  readonly blueprints: readonly string[];
  readonly labels: Labels;
}

export interface WebhookSecret {
  /** Sealed by the vault under the webhook's `uid`; base64. */
  readonly sealed: string;
  /** It signs until then; 0: until another takes its place. */
  readonly untilMs: number;
}

export interface StoredWebhook extends EventFilter {
  readonly name: string;
  /** Of this webhook and of no other that has its name later. */
  readonly uid: string;
  readonly url: string;
  readonly description: string;
  readonly isEnabled: boolean;
  /** The newest first. */
  readonly secrets: readonly WebhookSecret[];
  /** All events up to this position of the stream are told, given up, or not wanted. */
  readonly position: number;
  /** Attempts in a row that failed. */
  readonly attempts: number;
  /** Before this nothing is sent. */
  readonly nextMs: number;
  /** Since when nothing was heard; 0: the last attempt was well. */
  readonly failingSinceMs: number;
  /** 0: never. */
  readonly successMs: number;
  /** Why the last attempt failed, or why it was disabled. */
  readonly message: string;
  readonly createdMs: number;
  /** One more at each change by people. */
  readonly generation: number;
  /** Of the row. Begins at another number for each that is made, so that a change meant for one never meets another of its name. */
  readonly version: number;
}

export type DeliveryState = 'delivered' | 'failing' | 'given_up';

/** One message for one webhook, and what came of it. */
export interface StoredDelivery {
  readonly webhook: string;
  /** The header `webhook-id`. */
  readonly id: string;
  /** 0 of a ping. */
  readonly position: number;
  readonly type: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** 0: no answer. */
  readonly status: number;
  readonly durationMs: number;
  readonly message: string;
}

/** Webhooks with how far each has come, and the newest of what was told. Errors: those of the database. */
export interface WebhookStore {
  /** Errors: `already_exists` with reason `webhook_exists`. */
  addWebhook(tx: Transaction, webhook: StoredWebhook): Promise<void>;
  webhook(name: string): Promise<StoredWebhook | undefined>;
  /** By name. */
  webhooks(after: string, limit: number): Promise<readonly StoredWebhook[]>;
  countWebhooks(tx: Transaction): Promise<number>;
  /** Replaces the row of this version. */
  updateWebhook(tx: Transaction, webhook: StoredWebhook): Promise<StoredWebhook | Conflict>;
  /** With its deliveries; says whether it was there. */
  removeWebhook(tx: Transaction, name: string): Promise<boolean>;

  /** Adds or replaces; of those already there `firstMs` and the count of attempts go on. */
  putDelivery(tx: Transaction, delivery: StoredDelivery): Promise<void>;
  /** Removes all but the newest so many. */
  trimDeliveries(tx: Transaction, webhook: string, keep: number): Promise<void>;
  /** Newest first. */
  deliveries(
    webhook: string,
    filter: { readonly state?: DeliveryState },
    after: { readonly firstMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<readonly StoredDelivery[]>;
}
