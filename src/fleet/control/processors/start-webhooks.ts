import { join } from 'node:path';
import type { Transaction } from '#kernel/database/database.ts';
import { postWebhook } from '#kernel/post-webhook.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import type { StreamSource } from '#kernel/streams/streams.ts';
import { openVault, type Vault } from '#kernel/vault.ts';
import type { FleetEvent } from '../logic/events.ts';
import { privateSetting, secretsOf, type WebhookParts } from '../logic/webhooks.ts';
import type { settings } from '../settings.ts';
import { createWebhookStore } from '../store/webhook-rows.ts';
import { keepLeased } from './keep-leased.ts';
import { createWebhookSender, type Outcome, type WebhookSender } from './webhook-sender.ts';

const [hourMs, dayMs] = [3_600_000, 86_400_000];
const retry = { firstMs: 1000, maxMs: 600_000 };
const leaseName = 'fleet-webhooks';

export interface WebhooksOptions extends Pick<WebhookParts, 'newId' | 'newSecret'> {
  readonly append: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly source: StreamSource;
  readonly oldest: () => Promise<number>;
  readonly observe: (outcome: Outcome, durationMs: number) => void;
  readonly fleet: string;
}

export interface RunningWebhooks {
  readonly parts: WebhookParts;
  readonly sender: WebhookSender;
  /** Resolves some time after the service's signal has fired. */
  readonly ended: Promise<void>;
}

/** Begins to tell webhooks what happens, here or in another replica. */
export function startWebhooks(micro: Micro<SettingsOf<typeof settings>>, options: WebhooksOptions): RunningWebhooks {
  const { database, settings: values, signal, log } = micro;
  const now = (): number => micro.clock.now();
  const store = createWebhookStore(database);
  const sender = createWebhookSender({
    ...{ ...options, database, store, now, log },
    secretsOf: (webhook) => secretsOf(parts, webhook),
    post: (post, abort) => {
      const isPrivateAllowed = values.webhooksToPrivate;
      return postWebhook(post, { isPrivateAllowed, privateSetting, timeoutMs: values.webhookSeconds * 1000 }, abort);
    },
    limits: () => ({ retry, patienceMs: values.webhookHours * hourMs, failingMsMax: values.webhookDays * dayMs }),
    concurrency: values.webhooksAtOnce,
  });
  // Opened when it is needed: without its key webhooks fail, and the fleet goes on.
  let opened: Promise<Vault> | undefined;
  const parts: WebhookParts = {
    ...{ ...options, database, store, now, refresh: sender.refresh },
    head: () => options.source.head(signal),
    isPrivateAllowed: () => values.webhooksToPrivate,
    async vault() {
      opened ??= openVault(join(micro.folder, 'master.key'), async () => (await store.webhooks('', 1)).length > 0);
      try {
        return await opened;
      } catch (error) {
        opened = undefined;
        throw error;
      }
    },
  };

  return { parts, sender, ended: keepLeased(micro, leaseName, (_, leased) => sender.run(leased)) };
}
