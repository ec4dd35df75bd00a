import type { Database, SqlValue, Transaction } from '#kernel/database/database.ts';
import { alreadyExists } from '#kernel/fault.ts';
import type { StoredDelivery, StoredWebhook, WebhookStore } from './webhooks.ts';

interface Row {
  readonly version: number;
  readonly record: string;
}

const webhookOf = ({ version, record }: Row): StoredWebhook => ({ ...(JSON.parse(record) as StoredWebhook), version });
const deliveryOf = ({ record }: Pick<Row, 'record'>): StoredDelivery => JSON.parse(record) as StoredDelivery;

/** The store on a database with the tables of `migrations`. */
export function createWebhookStore(database: Database): WebhookStore {
  return {
    async addWebhook(tx, webhook) {
      const { changes } = await tx.run(
        'insert into webhooks (name, version, record) values ($1, $2, $3) on conflict (name) do nothing',
        ...[webhook.name, webhook.version, JSON.stringify(webhook)],
      );
      if (changes === 1) return;
      throw alreadyExists(`Cannot make webhook "${webhook.name}": there is one of this name`, { reason: 'webhook_exists' });
    },
    async webhook(name) {
      const row = await database.get<Row>('select version, record from webhooks where name = $1', name);
      return row && webhookOf(row);
    },
    webhooks: async (after, limit) =>
      (await database.all<Row>('select version, record from webhooks where name > $1 order by name limit $2', after, limit)).map(
        webhookOf,
      ),
    countWebhooks: async (tx) => (await tx.get<{ count: number }>('select count(*) as count from webhooks'))?.count ?? 0,
    async updateWebhook(tx, webhook) {
      const { changes } = await tx.run(
        'update webhooks set version = version + 1, record = $3 where name = $1 and version = $2',
        ...[webhook.name, webhook.version, JSON.stringify(webhook)],
      );
      return changes === 1 ? { ...webhook, version: webhook.version + 1 } : 'conflict';
    },
    async removeWebhook(tx, name) {
      await tx.run('delete from webhook_deliveries where webhook = $1', name);
      return (await tx.run('delete from webhooks where name = $1', name)).changes === 1;
    },
    async putDelivery(tx, delivery) {
      const { webhook, id } = delivery;
      const known = await findDelivery(tx, webhook, id);
      const attempts = (known?.attempts ?? 0) + delivery.attempts;
      const whole: StoredDelivery = { ...delivery, attempts, firstMs: known?.firstMs ?? delivery.firstMs };
      await tx.run(
        `insert into webhook_deliveries (webhook, id, state, first_ms, record) values ($1, $2, $3, $4, $5)
         on conflict (webhook, id) do update set state = excluded.state, record = excluded.record`,
        ...[webhook, id, whole.state, whole.firstMs, JSON.stringify(whole)],
      );
    },
    async trimDeliveries(tx, webhook, keep) {
      await tx.run(
        `delete from webhook_deliveries where webhook = $1 and first_ms < (
           select first_ms from webhook_deliveries where webhook = $1 order by first_ms desc, id desc limit 1 offset $2
         )`,
        ...[webhook, keep - 1],
      );
    },
    async deliveries(webhook, { state }, after, limit) {
      const params: SqlValue[] = [webhook];
      const where = ['webhook = $1'];
      if (state !== undefined) where.push(`state = $${params.push(state)}`);
      if (after) where.push(`(first_ms, id) < ($${params.push(after.firstMs)}, $${params.push(after.id)})`);
      const rows = await database.all<Row>(
        `select record from webhook_deliveries where ${where.join(' and ')} order by first_ms desc, id desc limit $${params.push(limit)}`,
        ...params,
      );
      return rows.map(deliveryOf);
    },
  };
}

async function findDelivery(tx: Transaction, webhook: string, id: string): Promise<StoredDelivery | undefined> {
  const row = await tx.get<Row>('select record from webhook_deliveries where webhook = $1 and id = $2', webhook, id);
  return row && deliveryOf(row);
}
