import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { startProduct, waitUntil } from './harness.ts';
import { parseMetrics } from './prometheus.ts';

const patienceMs = 60_000;

interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly id: string;
  readonly type: string;
  readonly position: number;
}

/** Hears what is told; `answer` gives the status, or nothing for no answer at all. */
async function hear(t: TestContext, answer: (told: Told, at: number) => number | undefined = () => 200) {
  const heard: Told[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    const { type, data } = JSON.parse(body) as { type: string; data: { position?: string } };
    const { headers } = request;
    const told = { headers, body, type, id: String(headers['webhook-id']), position: Number(data.position ?? 0) };
    const status = answer(told, heard.push(told) - 1);
    if (status !== undefined) response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** As a receiver does it. */
function isSigned({ headers, body, id }: Told, secret: string): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = `v1,${createHmac('sha256', key).update(`${id}.${headers['webhook-timestamp']}.${body}`).digest('base64')}`;
  const isNew = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300;
  return isNew && String(headers['webhook-signature']).split(' ').includes(expected);
}

test('webhooks, metrics and statistics of the fleet, by REST and by the command, over a kill', {
  timeout: 300_000,
}, async (t) => {
  await using product = await startProduct({
    ...{ isOneProcess: true, datasources: [] },
    env: { CELLAR_FLEET_WEBHOOKS_TO_PRIVATE: 'true', CELLAR_FLEET_LOOK_SECONDS: '1', CELLAR_GATEWAY_OPENS_DIAGNOSTICS: 'false' },
  });
  let isKilling = false;
  const receiver = await hear(t, () => {
    if (!isKilling) return 200;
    // It has heard, and Cellar is gone before it can know.
    isKilling = false;
    process.kill(product.pid(), 'SIGKILL');
    return undefined;
  });
  const made = await product.rest('POST', '/api/v1/webhooks', { json: { name: 'mine', url: receiver.url } });
  assert.equal(made.status, 200, await made.clone().text());
  const { secret } = (await made.json()) as { secret: string };

  await t.test('what happens is told, signed, and as the list of events has it', async () => {
    const host = await product.cli('host', 'add', 'h1', '--type', 'simulated', '--capacity', '3', '--template', 'evm-dev');
    assert.equal(host.exitCode, 0, host.stderr);
    assert.equal((await product.cli('host', 'fillup', 'h1')).exitCode, 0);
    assert.equal((await product.cli('apply', 'evm-dev')).exitCode, 0);
    await waitUntil(() => receiver.heard.some(({ type }) => type === 'ClaimBound'), patienceMs);
    for (const told of receiver.heard) assert.ok(isSigned(told, secret), told.type);
    assert.ok(!isSigned(receiver.heard[0] as Told, `whsec_${Buffer.alloc(32).toString('base64')}`));
  });

  await t.test('killed while it told something, it tells it again with the same id, and misses nothing', async () => {
    isKilling = true;
    // Whether the command gets its answer before the end is no matter.
    await product.cli('host', 'cordon', 'h1');
    await waitUntil(() => product.pid() !== 0 && !isKilling, patienceMs);
    const killed = receiver.heard.at(-1) as Told;
    const before = receiver.heard.length;
    await product.start();
    await product.cli('host', 'uncordon', 'h1');
    // Events go on while they are listed, so both are looked at until they agree.
    const listed = async (): Promise<string[]> => {
      const { stdout } = await product.cli('events', '--json', '--last', '100000');
      const first = receiver.heard[0]?.position ?? 0;
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as { position: string; reason: string })
        .filter(({ position }) => Number(position) >= first)
        .map(({ position, reason }) => `${position} ${reason}`);
    };
    const told = (): string[] => [
      ...new Map(receiver.heard.map(({ id, position, type }) => [id, `${position} ${type}`])).values(),
    ];
    let wanted: readonly string[] = [];
    await waitUntil(
      async () => {
        wanted = await listed();
        return isDeepStrictEqual(told(), wanted);
      },
      patienceMs,
      () => `told:\n${told().join('\n')}\n\nhappened:\n${wanted.join('\n')}`,
    );
    assert.equal(receiver.heard[before]?.id, killed.id);
  });

  await t.test('the command adds, tries, changes and deletes one, and lists what came of it', async () => {
    const other = await hear(t);
    const added = await product.cli('webhook', 'add', 'other', other.url, '--type', 'Claim*', '--blueprint', 'evm-dev');
    assert.equal(added.exitCode, 0, added.stderr);
    assert.equal((await product.cli('webhook', 'ping', 'other')).exitCode, 0);
    assert.ok(isSigned(other.heard[0] as Told, added.stdout.trim()));
    const rotated = await product.cli('webhook', 'rotate', 'other');
    await product.cli('webhook', 'ping', 'other');
    for (const one of [added, rotated]) assert.ok(isSigned(other.heard[1] as Told, one.stdout.trim()));
    const deliveries = await product.json<readonly { type: string; state: string; status: number }[]>(
      'webhook',
      'deliveries',
      'other',
    );
    assert.deepEqual(
      deliveries.map(({ type, state, status }) => [type, state, status]),
      Array.from({ length: 2 }, () => ['WebhookPing', 'STATE_DELIVERED', 200]),
    );
    assert.equal((await product.cli('webhook', 'update', 'other', '--url', 'http://127.0.0.1:1/')).exitCode, 0);
    const failed = await product.cli('webhook', 'ping', 'other');
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stdout, /could not be told/);
    assert.match((await product.cli('webhooks')).stdout, /mine .*\n(.*\n)?other|other .*\n(.*\n)?mine/);
    assert.equal((await product.cli('webhook', 'disable', 'other')).exitCode, 0);
    assert.match((await product.cli('webhook', 'show', 'other')).stdout, /disabled/);
    assert.equal((await product.cli('webhook', 'delete', 'other', '--yes')).exitCode, 0);
    const gone = await product.rest('GET', '/api/v1/webhooks/other');
    assert.deepEqual([gone.status, ((await gone.json()) as { reason: string }).reason], [404, 'webhook_missing']);
  });

  await t.test('the page of metrics can be read, has the fleet in it, and is not for everybody', async () => {
    assert.equal((await product.rest('GET', '/metrics', { token: null })).status, 401);
    const page = async () => parseMetrics(await (await product.rest('GET', '/metrics')).text());
    const find = async (name: string, labels: Readonly<Record<string, string>>) =>
      (await page())
        .get(name)
        ?.samples.find((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
    await waitUntil(async () => (await find('cellar_fleet_clusters_used', { blueprint: 'evm-dev' }))?.value === 1, patienceMs);
    assert.equal((await find('cellar_fleet_host_capacity', { host: 'h1' }))?.value, 3);
    assert.equal((await find('cellar_fleet_hosts', { type: 'simulated', state: 'active' }))?.value, 1);
    assert.ok(((await find('cellar_fleet_webhook_deliveries_total', { outcome: 'delivered' }))?.value ?? 0) > 0);
    const fleet = [...(await page())].filter(([name]) => name.startsWith('cellar_fleet_'));
    for (const [name, { type, samples }] of fleet) {
      assert.match(name, { counter: /_total$/, histogram: /_seconds$/, gauge: /(?<!_total|_seconds)$/ }[type] ?? /-/, name);
      for (const { labels } of samples) assert.ok(!('cluster' in labels) && !('user' in labels), name);
    }
    assert.ok(fleet.length >= 15);
  });

  await t.test('statistics are told by REST and by the command', async () => {
    const answer = await product.rest('GET', '/api/v1/fleet/statistics?window_seconds=3600');
    const statistics = (await answer.json()) as {
      clusters: readonly { count: number }[];
      ready: { count: string; p50: number; p90: number };
      apply: { count: string };
      history: readonly { capacity: number }[];
    };
    assert.equal(
      statistics.clusters.reduce((sum, { count }) => sum + count, 0),
      3,
    );
    // Over the kill as well, but for what was measured in its last seconds.
    assert.ok(statistics.history.length > 0);
    const { exitCode, stdout } = await product.cli('fleet', 'stats', '--window', '1h');
    assert.equal(exitCode, 0);
    assert.match(stdout, /clusters +3: 1 used, 2 free/);
  });
});
