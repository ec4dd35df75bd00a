import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Cluster_State } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { WebhookDelivery_State, Webhooks } from '#gen/cellar/fleet/v1/webhooks_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { until } from '#kernel/testing/engines.ts';
import { type Received, startReceiver } from './control/testing/receiver.ts';
import { type FleetPlatform, operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const patienceMs = 30_000;
const webhooksOf = ({ platform }: FleetPlatform, caller: Caller = operator) => platform.client(Webhooks, caller);
const start = (t: TestContext) => startFleet(t, { settings: { webhooksToPrivate: true } });

async function addHost(fleet: FleetPlatform, name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const spec = { type: AgentType.SIMULATED, capacity: 5, labels };
  await fleet.as(operator).hosts.createHost({ host: { name, spec } });
}

const eventOf = ({ body }: Received) =>
  (JSON.parse(body) as { data: { cluster: string; host: string; blueprint: string; reason: string } }).data;

test('what happens to clusters, their claims and hosts is told to those who want it', async (t) => {
  const fleet = await start(t);
  const [all, some, labelled] = [await startReceiver(t), await startReceiver(t), await startReceiver(t)];
  const webhooks = webhooksOf(fleet);
  await webhooks.createWebhook({ webhook: { name: 'all', url: all.url } });
  await webhooks.createWebhook({ webhook: { name: 'some', url: some.url, types: ['ClusterReady', 'Claim*'], hosts: ['h2'] } });
  await webhooks.createWebhook({
    webhook: { name: 'labelled', url: labelled.url, labels: { tier: 'gold' }, blueprints: ['evm-dev'] },
  });
  await addHost(fleet, 'h1');
  await addHost(fleet, 'h2');
  const { clusters, engine } = fleet.as(operator);
  const isReady = async (name: string) => (await clusters.getCluster({ name })).state === Cluster_State.READY;
  await clusters.createCluster({ name: 'c1', host: 'h1', blueprint: 'evm-dev' });
  await clusters.createCluster({ name: 'c2', host: 'h2', blueprint: 'evm-dev', labels: { tier: 'gold' } });
  await until(async () => (await isReady('c1')) && (await isReady('c2')), patienceMs);
  await fleet.done(await clusters.restartCluster({ name: 'c2' }));
  const claim = await engine.apply({ selectors: [{ host: 'h2' }] });
  await engine.release({ id: claim.id });
  const reasons = (seen: readonly Received[]) => seen.map((received) => eventOf(received).reason);
  await until(() => reasons(all.seen).includes('ClaimEnded'), patienceMs);
  await until(() => reasons(some.seen).includes('ClaimEnded'), patienceMs);
  await until(() => reasons(labelled.seen).includes('ClaimEnded'), patienceMs);
  await fleet.done(await clusters.deleteCluster({ name: 'c2' }));
  // Of a cluster that is not there any more it is still known what it was.
  await until(() => reasons(labelled.seen).includes('ClusterGone'), patienceMs);
  assert.deepEqual(
    reasons(some.seen).filter((reason) => reason !== 'ClusterReady'),
    ['ClaimBound', 'ClaimEnded'],
  );
  for (const received of labelled.seen)
    assert.deepEqual([eventOf(received).cluster, eventOf(received).blueprint], ['c2', 'evm-dev']);
  assert.ok(reasons(labelled.seen).includes('ClusterAsked'));
  assert.ok(reasons(labelled.seen).includes('OperationDone'));
  for (const reason of ['HostAdded', 'ClusterAsked', 'ClusterReady', 'OperationDone'])
    assert.ok(reasons(all.seen).includes(reason), reason);
  const positions = all.seen.map(({ body }) => Number((JSON.parse(body) as { data: { position: string } }).data.position));
  assert.deepEqual(
    positions,
    positions.toSorted((a, b) => a - b),
  );
  const { deliveries, nextPageToken } = await webhooks.listWebhookDeliveries({ name: 'all', pageSize: 2 });
  const more = await webhooks.listWebhookDeliveries({ name: 'all', pageSize: 2, pageToken: nextPageToken });
  assert.deepEqual([deliveries.length, more.deliveries.length], [2, 2]);
  assert.ok(deliveries.every(({ state, status }) => state === WebhookDelivery_State.DELIVERED && status === 200));
});

test('a secret is shown once, kept sealed, and changed without a gap', async (t) => {
  const fleet = await start(t);
  const receiver = await startReceiver(t);
  const webhooks = webhooksOf(fleet);
  const made = await webhooks.createWebhook({ webhook: { name: 'w', url: receiver.url } });
  const first = await webhooks.rotateWebhookSecret({ name: 'w' });
  assert.notEqual(made.secret, first.secret);
  const signatures = async (): Promise<number> => {
    await webhooks.pingWebhook({ name: 'w' });
    return String(receiver.seen.at(-1)?.headers['webhook-signature']).split(' ').length;
  };
  assert.equal(await signatures(), 2);
  const second = await webhooks.rotateWebhookSecret({ name: 'w', withdrawOld: true });
  assert.equal(await signatures(), 1);
  const shown = JSON.stringify([await webhooks.getWebhook({ name: 'w' }), await webhooks.listWebhooks({})], (_, value) =>
    typeof value === 'bigint' ? Number(value) : value,
  );
  const files = readdirSync(fleet.platform.home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
  assert.ok(
    files.some((bytes) => bytes.includes('webhook_deliveries')),
    'the database was looked at',
  );
  for (const { secret } of [made, first, second]) {
    assert.match(secret, /^whsec_/);
    const key = secret.slice('whsec_'.length);
    assert.ok(!shown.includes(key));
    for (const bytes of files) assert.ok(!bytes.includes(key) && !bytes.includes(Buffer.from(key, 'base64')));
  }
});

test('bad input is refused with the reason, and leaves nothing', async (t) => {
  const fleet = await startFleet(t);
  const webhooks = webhooksOf(fleet);
  const add = (name: string, url: string) => webhooks.createWebhook({ webhook: { name, url } });
  for (const host of ['127.0.0.1', '[::1]', '10.0.0.1', '169.254.169.254', '2130706433'])
    await assert.rejects(add('w', `http://${host}/`), { code: 'failed_precondition', reason: 'private_address' }, host);
  for (const url of ['', 'x', 'ftp://example.org', 'https://me:secret@example.org/'])
    await assert.rejects(add('w', url), { code: 'invalid_argument', reason: 'url_invalid' }, url);
  await assert.rejects(add('No Name', 'https://example.org'), { code: 'invalid_argument' });
  await assert.rejects(webhooks.getWebhook({ name: 'w' }), { code: 'not_found', reason: 'webhook_missing' });
  await assert.rejects(webhooks.listWebhookDeliveries({ name: 'w' }), { code: 'not_found' });
  await add('w', 'https://example.org/hook');
  await assert.rejects(add('w', 'https://example.org/other'), { code: 'already_exists', reason: 'webhook_exists' });
  const update = (webhook: { description?: string; url?: string; version?: bigint }, ...paths: string[]) =>
    webhooks.updateWebhook({ webhook: { name: 'w', ...webhook }, updateMask: { paths } });
  await assert.rejects(update({}), { reason: 'mask_missing' });
  await assert.rejects(update({}, 'secret'), { reason: 'mask_invalid' });
  await assert.rejects(update({ url: 'http://127.0.0.1/' }, 'url'), { reason: 'private_address' });
  const { version } = await update({ description: 'mine' }, 'description');
  await assert.rejects(update({ description: 'yours', version: version - 1n }, 'description'), { reason: 'version_differs' });
  assert.equal((await webhooks.getWebhook({ name: 'w' })).description, 'mine');
  // A name that means this machine is found out when it is connected to.
  await webhooks.createWebhook({ webhook: { name: 'local', url: 'http://localhost:1/' } });
  const { state, message } = await webhooks.pingWebhook({ name: 'local' });
  assert.deepEqual([state, /local network/.test(message)], [WebhookDelivery_State.GIVEN_UP, true]);
  for (const call of [
    () => webhooksOf(fleet, userNamed('ann')).listWebhooks({}),
    () => webhooksOf(fleet, userNamed('ann')).createWebhook({ webhook: { name: 'x', url: 'https://example.org' } }),
  ])
    await assert.rejects(call(), { code: 'permission_denied' });
});

test('one that was switched off tells later what happened meanwhile, or does not, as is wished', async (t) => {
  const fleet = await start(t);
  const [patient, forgetful] = [await startReceiver(t), await startReceiver(t)];
  const webhooks = webhooksOf(fleet);
  const enable = (name: string, enabled: boolean, skipMissed = false) =>
    webhooks.updateWebhook({ webhook: { name, enabled }, updateMask: { paths: ['enabled'] }, skipMissed });
  for (const [name, { url }] of Object.entries({ patient, forgetful })) {
    await webhooks.createWebhook({ webhook: { name, url, types: ['HostAdded'] } });
    await enable(name, false);
  }
  await addHost(fleet, 'h1');
  await enable('patient', true);
  await enable('forgetful', true, true);
  await addHost(fleet, 'h2');
  await until(() => patient.seen.length === 2 && forgetful.seen.length === 1, patienceMs);
  assert.deepEqual(
    patient.seen.map((one) => eventOf(one).host),
    ['h1', 'h2'],
  );
  assert.deepEqual(
    forgetful.seen.map((one) => eventOf(one).host),
    ['h2'],
  );
});
