import type { Database, Transaction } from '#kernel/database/database.ts';
import { aborted, exhausted, invalidArgument, notFound } from '#kernel/fault.ts';
import { parseWebhookUrl } from '#kernel/post-webhook.ts';
import type { Vault } from '#kernel/vault.ts';
import type { EventFilter, StoredWebhook, WebhookStore } from '../store/webhooks.ts';
import type { FleetEvent } from './events.ts';
import { secretText } from './webhook-message.ts';

export interface WebhookParts {
  readonly database: Database;
  readonly store: WebhookStore;
  readonly append: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  /** Errors: `failed_precondition` with reason `master_key_missing`. */
  readonly vault: () => Promise<Vault>;
  /** The newest position of the stream of events. */
  readonly head: () => Promise<number>;
  /** Webhooks were changed: those that send look again. */
  readonly refresh: () => void;
  readonly isPrivateAllowed: () => boolean;
  readonly now: () => number;
  readonly newId: () => string;
  readonly newSecret: (bytes: number) => string;
}

/** What people say of a webhook. */
export interface WebhookSpec extends EventFilter {
  readonly url: string;
  readonly description: string;
  readonly isEnabled: boolean;
}

export interface SecretShown {
  readonly webhook: StoredWebhook;
  readonly secret: string;
}

const webhooksMax = 100;
const secretBytes = 32;
/** How long the secret before a new one goes on signing. */
const overlapMs = 86_400_000;
/** The setting that lets webhooks go to local networks. */
export const privateSetting = 'fleet.webhooksToPrivate';

/** Errors: `already_exists`; `resource_exhausted` with reason `webhooks_used_up`; those of an address that cannot be told. */
export async function createWebhook(parts: WebhookParts, name: string, spec: WebhookSpec, actor: string): Promise<SecretShown> {
  const { database, store, append, now } = parts;
  assertUrl(parts, spec.url);
  const uid = parts.newId();
  const secret = secretText(parts.newSecret(secretBytes));
  const webhook: StoredWebhook = {
    ...spec,
    ...{ name, uid, isEnabled: true, secrets: [{ sealed: await seal(parts, secret, uid), untilMs: 0 }] },
    ...{ position: await parts.head(), attempts: 0, nextMs: 0, failingSinceMs: 0, successMs: 0, message: '' },
    ...{ createdMs: now(), generation: 1, version: now() },
  };
  await database.transaction(async (tx) => {
    if ((await store.countWebhooks(tx)) >= webhooksMax) {
      throw exhausted(`Cannot make webhook "${name}": ${webhooksMax} are the most`, {
        reason: 'webhooks_used_up',
        hint: 'Delete one, or have one receiver pass messages on.',
      });
    }
    await store.addWebhook(tx, webhook);
    await append(tx, [webhookEvent(name, 'WebhookAdded', 'was added', actor)]);
  });
  parts.refresh();
  return { webhook, secret };
}

/** Errors: `not_found`; `aborted` with reason `version_differs`; those of an address that cannot be told. */
export async function updateWebhook(
  parts: WebhookParts,
  name: string,
  changes: Partial<WebhookSpec>,
  how: { readonly version: number; readonly skipsMissed: boolean; readonly actor: string },
): Promise<StoredWebhook> {
  const { url, isEnabled } = changes;
  if (url !== undefined) assertUrl(parts, url);
  const updated = await change(parts, name, how, async (webhook) => {
    const isAnew = url !== undefined || (isEnabled === true && !webhook.isEnabled);
    const anew = isAnew ? { attempts: 0, nextMs: 0, failingSinceMs: 0, message: '' } : {};
    return { ...webhook, ...changes, ...anew, position: how.skipsMissed ? await parts.head() : webhook.position };
  });
  parts.refresh();
  return updated;
}

/** A new secret; the one before signs a day longer, unless it is withdrawn. Errors: `not_found`. */
export async function rotateSecret(parts: WebhookParts, name: string, withdrawsOld: boolean): Promise<SecretShown> {
  const secret = secretText(parts.newSecret(secretBytes));
  const nowMs = parts.now();
  const webhook = await change(parts, name, { version: 0 }, async (before) => {
    const [old] = before.secrets;
    const sealed = await seal(parts, secret, before.uid);
    return {
      ...before,
      secrets: [{ sealed, untilMs: 0 }, ...(old && !withdrawsOld ? [{ ...old, untilMs: nowMs + overlapMs }] : [])],
    };
  });
  return { webhook, secret };
}

/** Errors: `not_found`. */
export async function deleteWebhook(parts: WebhookParts, name: string, actor: string): Promise<void> {
  const { database, store, append } = parts;
  await database.transaction(async (tx) => {
    if (!(await store.removeWebhook(tx, name))) throw missing(name);
    await append(tx, [webhookEvent(name, 'WebhookDeleted', 'was deleted', actor)]);
  });
  parts.refresh();
}

/** Errors: `not_found`. */
export async function findWebhook(store: WebhookStore, name: string): Promise<StoredWebhook> {
  const webhook = await store.webhook(name);
  if (webhook) return webhook;
  throw missing(name);
}

/** The secrets that sign now. Errors: `data_loss` when they cannot be opened. */
export async function secretsOf({ vault, now }: WebhookParts, { uid, secrets }: StoredWebhook): Promise<readonly string[]> {
  const opener = await vault();
  const holding = secrets.filter(({ untilMs }) => untilMs === 0 || now() < untilMs);
  return holding.map(({ sealed }) => opener.open(Buffer.from(sealed, 'base64'), uid));
}

/** Decides anew when the sender has written meanwhile, which is nothing people decide on. */
async function change(
  { database, store }: WebhookParts,
  name: string,
  { version }: { readonly version: number },
  decide: (webhook: StoredWebhook) => Promise<StoredWebhook>,
): Promise<StoredWebhook> {
  for (;;) {
    const webhook = await findWebhook(store, name);
    if (version !== 0 && version !== webhook.generation) {
      throw aborted(`Cannot change webhook "${name}": it was changed meanwhile`, {
        reason: 'version_differs',
        hint: 'Read it again, then decide.',
      });
    }
    const wanted = { ...(await decide(webhook)), generation: webhook.generation + 1 };
    const updated = await database.transaction((tx) => store.updateWebhook(tx, wanted));
    if (updated !== 'conflict') return updated;
  }
}

function assertUrl({ isPrivateAllowed }: WebhookParts, url: string): void {
  const { username, password } = parseWebhookUrl(url, { isPrivateAllowed: isPrivateAllowed(), privateSetting });
  if (username === '' && password === '') return;
  throw invalidArgument('Cannot use this address: it has a user or a password in it, which would be shown', {
    reason: 'url_invalid',
    hint: 'Receivers know Cellar by its signature.',
  });
}

async function seal({ vault }: WebhookParts, secret: string, uid: string): Promise<string> {
  return Buffer.from((await vault()).seal(secret, uid)).toString('base64');
}

const missing = (name: string) =>
  notFound(`There is no webhook "${name}"`, { reason: 'webhook_missing', hint: '`cellar webhooks` shows those there are.' });

function webhookEvent(name: string, reason: string, says: string, actor: string): FleetEvent {
  return { kind: 'webhook', name, reason, actor, severity: 'info', message: `Webhook ${name} ${says}` };
}
