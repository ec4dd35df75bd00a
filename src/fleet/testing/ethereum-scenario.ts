import assert from 'node:assert/strict';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows, so } from './chain-ground.ts';

const { OK, DEGRADED, FAILED } = Cluster_Health;

/** One ether from the default account on chain 32382 each, its first transaction and its second, signed beforehand with the key everybody knows. */
const payments = [
  '0x02f875827e7e80843b9aca0085174876e8008252089400000000000000000000000000000000ce11a900880de0b6b3a764000080c080a0548432fe01b523f40808cd84060899b3db5b70e159b4d43d21d79cce48bcb370a071525dd55d3e1ef7393cf4e72e54825dae6b49b58dc61dedf31284da652f3cf6',
  '0x02f875827e7e01843b9aca0085174876e8008252089400000000000000000000000000000000ce11a900880de0b6b3a764000080c001a01dce76f77dc8d3ab36a152e7cab165f96482dfbd3c462afe6c1acc35bf11eedba06a8325d72e56dbff6c40e59d2bd5740b176ae58c4739f4870bdca5ce4f068302',
];

const payee = '0x00000000000000000000000000000000ce11a900';

/**
 * Three nodes, each of two members: a payment gets into a block that all have and that becomes final; a beacon node and an execution client that
 * are killed come back and follow; one frozen is told by name, and most of them are a failure.
 */
export async function ethereumScenario(given: ChainGround): Promise<void> {
  // Final is what is four epochs of eight slots old, at the best.
  const ground = { ...given, patienceMs: 240_000 };
  const used = await apply(ground, 'ethereum-pos', { nodes: '3', slotSeconds: '3' });
  const [nodes, beacons] = [used.connection['nodes'] ?? '', used.connection['beacons'] ?? ''].map((urls) => urls.split(','));
  assert.equal(nodes?.length, 3);
  assert.equal(beacons?.length, 3);

  const ask = async <T>(node: number, method: string, ...params: readonly unknown[]): Promise<T> => {
    const response = await fetch(nodes?.[node] ?? '', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as { result: T; error?: { message: string } };
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  /** Number of the block that a payment is in, as a node knows it; 0 while it is in none. */
  const blockOf = async (node: number, hash: string): Promise<number> => {
    const receipt = await ask<{ blockNumber: string; status: string } | null>(node, 'eth_getTransactionReceipt', hash);
    if (receipt) assert.equal(receipt.status, '0x1');
    return Number(receipt?.blockNumber ?? 0);
  };
  /** What was paid, in ether, as a node knows it. */
  const received = async (node: number): Promise<number> =>
    Number(await ask<string>(node, 'eth_getBalance', payee, 'latest')) / 1e18;
  /** Number of the last block that cannot be taken back any more. */
  const finalBlock = async (node: number): Promise<number> => {
    const response = await fetch(`${beacons?.[node]}/eth/v2/beacon/blocks/finalized`);
    if (!response.ok) return 0;
    const { data } = (await response.json()) as { data: { message: { body: { execution_payload: { block_number: string } } } } };
    return Number(data.message.body.execution_payload.block_number);
  };

  const first = await ask<string>(0, 'eth_sendRawTransaction', payments[0]);
  for (const node of [0, 1, 2])
    await so(ground, `node ${node} has the payment in a block`, async () => (await blockOf(node, first)) > 0);
  const paid = await blockOf(0, first);

  await killAndHeal(ground, used, 'beacon-1');
  await killAndHeal(ground, used, 'execution-2');
  for (const node of [1, 2]) await so(ground, `node ${node} knows of the payment`, async () => (await received(node)) === 1);
  await so(ground, 'the payment is final', async (see) => {
    const last = await finalBlock(2);
    see(`${last}, and the payment is in ${paid}`);
    return last >= paid;
  });

  await ground.freeze(used.cluster, 'beacon-2');
  await shows(ground, used, [DEGRADED], /beacon-2/);
  // Two of three propose still.
  await ask<string>(0, 'eth_sendRawTransaction', payments[1]);
  await so(ground, 'the chain goes on', async () => (await received(1)) === 2);
  await ground.thaw(used.cluster, 'beacon-2');
  await shows(ground, used, [OK]);
  await so(ground, 'the frozen one has followed', async () => (await received(2)) === 2);

  // Members are started again all then, and Lodestar cannot go on with a chain that has stood still for long.
  for (const member of ['execution-1', 'execution-2']) await ground.freeze(used.cluster, member);
  await shows(ground, used, [FAILED]);
  await release(ground, used);
}
