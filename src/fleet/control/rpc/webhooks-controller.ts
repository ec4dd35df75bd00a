import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Webhook,
  WebhookDelivery_State,
  type WebhookDeliverySchema,
  type WebhookSchema,
  Webhooks,
} from '#gen/cellar/fleet/v1/webhooks_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument } from '#kernel/fault.ts';
import { cutPage, decodePageToken, decodePlace, pageSizeDefault } from '#kernel/paging.ts';
import {
  createWebhook,
  deleteWebhook,
  findWebhook,
  rotateSecret,
  updateWebhook,
  type WebhookParts,
  type WebhookSpec,
} from '../logic/webhooks.ts';
import type { WebhookSender } from '../processors/webhook-sender.ts';
import type { DeliveryState, StoredDelivery, StoredWebhook } from '../store/webhooks.ts';

const [list, deliveryList] = ['webhooks', 'webhook deliveries'];

interface Place {
  readonly firstMs: number;
  readonly id: string;
}

const states: Readonly<Record<DeliveryState, WebhookDelivery_State>> = {
  delivered: WebhookDelivery_State.DELIVERED,
  failing: WebhookDelivery_State.FAILING,
  given_up: WebhookDelivery_State.GIVEN_UP,
};

export function webhooksRpc(parts: WebhookParts, sender: Pick<WebhookSender, 'ping'>): Binding {
  const { store } = parts;
  return implement(Webhooks, {
    async createWebhook({ webhook }, { caller }) {
      if (!webhook) throw invalidArgument('A webhook is missing in the request');
      const made = await createWebhook(parts, webhook.name, readSpec(webhook), caller.name);
      return { webhook: webhookMessage(made.webhook), secret: made.secret };
    },
    getWebhook: async ({ name }) => webhookMessage(await findWebhook(store, name)),
    async listWebhooks({ pageSize, pageToken }) {
      const limit = pageSize || pageSizeDefault;
      const rows = await store.webhooks(decodePageToken(list, pageToken), limit + 1);
      const [page, nextPageToken] = cutPage(list, rows, limit, ({ name }) => name);
      return { webhooks: page.map(webhookMessage), nextPageToken };
    },
    async updateWebhook({ webhook, updateMask, skipMissed }, { caller }) {
      if (!webhook) throw invalidArgument('A webhook is missing in the request');
      const changes = readChanges(webhook, updateMask?.paths ?? []);
      if (Object.keys(changes).length === 0 && !skipMissed)
        throw invalidArgument('Name the fields to change in `update_mask`', { reason: 'mask_missing' });
      const how = { version: Number(webhook.version), skipsMissed: skipMissed, actor: caller.name };
      return webhookMessage(await updateWebhook(parts, webhook.name, changes, how));
    },
    async deleteWebhook({ name }, { caller }) {
      await deleteWebhook(parts, name, caller.name);
      return {};
    },
    async rotateWebhookSecret({ name, withdrawOld }) {
      const { webhook, secret } = await rotateSecret(parts, name, withdrawOld);
      return { webhook: webhookMessage(webhook), secret };
    },
    pingWebhook: async ({ name }, { signal }) => deliveryMessage(await sender.ping(await findWebhook(store, name), signal)),
    async listWebhookDeliveries({ name, pageSize, pageToken, state }) {
      await findWebhook(store, name);
      const limit = pageSize || pageSizeDefault;
      const wanted = (Object.keys(states) as DeliveryState[]).find((word) => states[word] === state);
      const filter = wanted === undefined ? {} : { state: wanted };
      const rows = await store.deliveries(name, filter, decodePlace(deliveryList, pageToken, isPlace), limit + 1);
      const [page, nextPageToken] = cutPage(deliveryList, rows, limit, ({ firstMs, id }): Place => ({ firstMs, id }));
      return { deliveries: page.map(deliveryMessage), nextPageToken };
    },
  });
}

const readSpec = ({ url, description, enabled, types, hosts, blueprints, labels }: Webhook): WebhookSpec => ({
  ...{ url, description, isEnabled: enabled, types, hosts, blueprints, labels },
});

/** Those fields that the mask names. Errors: `invalid_argument` for one that there is not. */
function readChanges(webhook: Webhook, paths: readonly string[]): Partial<WebhookSpec> {
  const spec = readSpec(webhook);
  const fields: Readonly<Record<string, Partial<WebhookSpec>>> = {
    url: { url: spec.url },
    description: { description: spec.description },
    enabled: { isEnabled: spec.isEnabled },
    types: { types: spec.types },
    hosts: { hosts: spec.hosts },
    blueprints: { blueprints: spec.blueprints },
    labels: { labels: spec.labels },
  };
  const changes: Partial<WebhookSpec> = {};
  for (const path of paths) {
    const field = Object.hasOwn(fields, path) ? fields[path] : undefined;
    if (!field) throw invalidArgument(`A webhook has no field "${path}" that can be changed`, { reason: 'mask_invalid' });
    Object.assign(changes, field);
  }
  return changes;
}

function webhookMessage(webhook: StoredWebhook): MessageInitShape<typeof WebhookSchema> {
  const { name, url, description, isEnabled, types, hosts, blueprints, labels, generation, attempts, message, position } =
    webhook;
  return {
    ...{ name, url, description, enabled: isEnabled, labels, attempts, message },
    ...{ types: [...types], hosts: [...hosts], blueprints: [...blueprints] },
    ...{ version: BigInt(generation), position: BigInt(position), createTime: timestampFromMs(webhook.createdMs) },
    ...(webhook.successMs > 0 ? { successTime: timestampFromMs(webhook.successMs) } : {}),
    ...(webhook.failingSinceMs > 0 ? { failingSinceTime: timestampFromMs(webhook.failingSinceMs) } : {}),
    ...(webhook.nextMs > 0 && isEnabled ? { nextTime: timestampFromMs(webhook.nextMs) } : {}),
  };
}

function deliveryMessage(delivery: StoredDelivery): MessageInitShape<typeof WebhookDeliverySchema> {
  const { id, position, type, state, attempts, firstMs, lastMs, status, durationMs, message } = delivery;
  return {
    ...{ id, type, attempts, status, durationMs, message, state: states[state], position: BigInt(position) },
    ...{ firstTime: timestampFromMs(firstMs), lastTime: timestampFromMs(lastMs) },
  };
}

function isPlace(place: unknown): place is Place {
  const { firstMs, id } = Object(place) as Readonly<Record<string, unknown>>;
  return typeof firstMs === 'number' && typeof id === 'string';
}
