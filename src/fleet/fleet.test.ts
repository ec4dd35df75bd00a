import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const withReason = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

const spec = { type: AgentType.PROCESS, capacity: 3, templates: [{ blueprint: 'evm-dev', parameters: {} }] };

async function rpc(url: string | undefined, method: string, ...params: unknown[]): Promise<unknown> {
  assert.ok(url);
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    headers: { 'content-type': 'application/json' },
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: unknown };
  assert.equal(error, undefined);
  return result;
}

/** Ends what a test has left running, in whatever state it is. */
async function withHost(t: TestContext) {
  const fleet = await startFleet(t);
  const { hosts } = fleet.as(operator);
  await hosts.createHost({ host: { name: 'local', spec } });
  return fleet;
}

test('a host is filled, two users get a chain each and use it, released ones come back new', async (t) => {
  const fleet = await withHost(t);
  const { hosts, clusters } = fleet.as(operator);
  await fleet.done(await hosts.fillupHost({ name: 'local' }));
  assert.equal((await hosts.getHost({ name: 'local' })).status?.free, 3);
  const [ann, bob] = [fleet.as(userNamed('ann')), fleet.as(userNamed('bob'))];
  const first = await ann.engine.apply({ blueprint: 'evm-dev' });
  const second = await bob.engine.apply({ blueprint: 'evm-dev' });
  assert.notEqual(first.cluster?.name, second.cluster?.name);
  assert.equal((await ann.engine.apply({ blueprint: 'evm-dev' })).id, first.id);
  for (const { cluster } of [first, second]) {
    const [from, to] = (await rpc(cluster?.endpoints['rpc'], 'eth_accounts')) as [string, string];
    const hash = await rpc(cluster?.endpoints['rpc'], 'eth_sendTransaction', { from, to, value: '0x1' });
    // The hash is known before the block is.
    await until(async () => (await rpc(cluster?.endpoints['rpc'], 'eth_getTransactionReceipt', hash)) !== null);
    assert.equal(await rpc(cluster?.endpoints['rpc'], 'eth_blockNumber'), '0x1');
  }
  await assert.rejects(bob.engine.release({ id: first.id }), withReason('claim_missing'));
  await assert.rejects(hosts.resetHost({ name: 'local' }), withReason('host_used'));
  await ann.engine.release({ id: first.id });
  const again = await ann.engine.apply({ blueprint: 'evm-dev', waitSeconds: 20, selectors: [{ host: 'local' }] });
  assert.equal(await rpc(again.cluster?.endpoints['rpc'], 'eth_blockNumber'), '0x0');
  await ann.engine.release({ id: again.id });
  await bob.engine.release({ id: second.id });
  await fleet.done(await hosts.deleteHost({ name: 'local', force: true }));
  assert.deepEqual((await clusters.listClusters({})).clusters, []);
});
