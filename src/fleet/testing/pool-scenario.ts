import assert from 'node:assert/strict';
import type { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { type FleetPlatform, operator, userNamed } from './fleet-platform.ts';

export interface PoolGround {
  readonly fleet: FleetPlatform;
  readonly type: AgentType;
  /** Of the engine; empty for local processes. */
  readonly address: string;
  /** Of the blueprint `evm-dev`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Ports of the host that may be used, from this one on. */
  readonly portFirst: number;
  /** How long one step may take; 60 s when absent. */
  readonly patienceMs?: number;
}

const patienceMsDefault = 60_000;
const withReason = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/**
 * A host is added and filled, two users get a chain each and use it, what they release comes back new, and nothing is left when the host is
 * deleted.
 */
export async function poolScenario(ground: PoolGround): Promise<void> {
  const { fleet, type, address, parameters, portFirst, patienceMs = patienceMsDefault } = ground;
  const { hosts, clusters } = fleet.as(operator);
  const templates = [{ blueprint: 'evm-dev', parameters }];
  const spec = { type, address, capacity: 3, templates, portFirst, portLast: portFirst + 99 };
  await hosts.createHost({ host: { name: 'pool', spec } });
  await fleet.done(await hosts.fillupHost({ name: 'pool' }));
  assert.equal((await hosts.getHost({ name: 'pool' })).status?.free, 3);
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
  await assert.rejects(hosts.resetHost({ name: 'pool' }), withReason('host_used'));
  await ann.engine.release({ id: first.id });
  const again = await ann.engine.apply({ blueprint: 'evm-dev', waitSeconds: patienceMs / 1000, selectors: [{ host: 'pool' }] });
  assert.equal(await rpc(again.cluster?.endpoints['rpc'], 'eth_blockNumber'), '0x0');
  await ann.engine.release({ id: again.id });
  await bob.engine.release({ id: second.id });
  await until(async () => (await hosts.getHost({ name: 'pool' })).status?.free === 3, patienceMs);
  await fleet.done(await hosts.deleteHost({ name: 'pool', force: true }));
  assert.deepEqual((await clusters.listClusters({})).clusters, []);
}

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
