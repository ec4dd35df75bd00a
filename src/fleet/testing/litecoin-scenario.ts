import assert from 'node:assert/strict';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows, so } from './chain-ground.ts';

const { OK, DEGRADED, FAILED } = Cluster_Health;

/**
 * A chain of four nodes: is built and given to a user, a payment gets round, a node killed comes back with its chain, one that is cut off makes
 * a fork and is told by name, and follows the others when it is back.
 */
export async function litecoinScenario(ground: ChainGround): Promise<void> {
  const used = await apply(ground, 'litecoin-regtest', { nodes: '4', blockSeconds: '1' });
  const { user = '', password = '', wallet, nodes = '' } = used.connection;
  const urls = nodes.split(',');
  assert.equal(urls.length, 4);
  const ask = async <T>(node: number, method: string, params: readonly unknown[] = [], path = ''): Promise<T> =>
    (await jsonRpc(`${urls[node]}${path}`, { user, password }, method, params)) as T;
  const height = (node: number) => ask<number>(node, 'getblockcount');

  const target = await ask<string>(0, 'getnewaddress', [], `/wallet/${wallet}`);
  const payment = await ask<string>(0, 'sendtoaddress', [target, 1], `/wallet/${wallet}`);
  let block = '';
  await so(ground, 'the payment is in a block', async () => {
    const found = await ask<{ blockhash?: string }>(0, 'gettransaction', [payment], `/wallet/${wallet}`);
    block = found.blockhash ?? '';
    return block !== '';
  });
  /** One that was killed has to be told of the newest blocks again. */
  const holds = async (node: number): Promise<boolean> => {
    const found = await ask<{ tx: readonly string[] }>(node, 'getblock', [block]).catch(() => undefined);
    return found?.tx.includes(payment) === true;
  };
  await so(ground, 'the last node knows the block', () => holds(3));

  await killAndHeal(ground, used, 'node-1');
  await so(ground, 'it has the chain again', () => holds(1));
  const before = await height(0);
  await so(ground, 'the chain goes on with all', async () => (await height(1)) > before);

  await ask(3, 'setnetworkactive', [false]);
  await shows(ground, used, [DEGRADED], /^Alone: .*node-3/);
  // It is asked for blocks like the others, and pays them to itself.
  const seenByOthers = async (): Promise<boolean> => {
    const own = await ask<string>(3, 'getbestblockhash');
    return await ask(0, 'getblockheader', [own]).then(
      () => true,
      () => false,
    );
  };
  await so(ground, 'the lonely node has a fork, and the shorter one', async () => {
    const [own, others] = [await height(3), await height(0)];
    return !(await seenByOthers()) && own < others;
  });
  await ask(3, 'setnetworkactive', [true]);
  // By itself it would try again in up to a minute.
  for (const { addednode } of await ask<readonly { addednode: string }[]>(3, 'getaddednodeinfo'))
    await ask(3, 'addnode', [addednode, 'onetry']);
  await shows(ground, used, [OK]);
  // Which one wins is open when the lonely node was just given a block.
  await so(ground, 'one fork has lost', async () => {
    const tips = await Promise.all([0, 1, 2, 3].map((node) => ask<readonly { status: string }[]>(node, 'getchaintips')));
    return tips.flat().some(({ status }) => status === 'valid-fork');
  });

  const lost = ['node-1', 'node-2', 'node-3'];
  for (const member of lost) await ground.freeze(used.cluster, member);
  await shows(ground, used, [FAILED]);
  for (const member of lost) await ground.thaw(used.cluster, member);
  await shows(ground, used, [OK]);
  await so(ground, 'nothing is lost', () => holds(2));
  await release(ground, used);
}

async function jsonRpc(
  url: string,
  { user, password }: { readonly user: string; readonly password: string },
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    body: JSON.stringify({ id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } | null };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
