import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { anvilMissing, memberProcesses, rpc } from './chains.ts';
import { type Product, startProduct, waitUntil } from './harness.ts';

/** How long something may take on a busy machine. Unit: milliseconds. */
const patienceMs = 120_000;

const skip = anvilMissing();

interface HostView {
  readonly name: string;
  readonly status: { readonly clusters: number; readonly free: number; readonly used: number };
}

interface ClusterView {
  readonly name: string;
  readonly state: string;
  readonly claim: string;
  readonly incarnation: number;
  readonly endpoints: Readonly<Record<string, string>>;
}

interface ClaimView {
  readonly id: string;
  readonly state: string;
  readonly heldSeconds: number;
  readonly cluster?: ClusterView;
}

interface EventView {
  readonly reason: string;
  readonly cluster: string;
  readonly message: string;
}

test('a pool on this machine: filled, given out, used, given back, refilled', { skip, timeout: 600_000 }, async (t) => {
  let product: Product;
  before(async () => {
    product = await startProduct({ isOneProcess: true, datasources: [] });
  });
  after(async () => {
    if (!product) return;
    // Members are processes of their own and would outlive the server: they have to be gone, also when a step has failed.
    const gone = await product.cliWith({ timeoutMs: patienceMs }, 'host', 'delete', 'local', '--force', '--yes');
    await product[Symbol.asyncDispose]();
    if (gone.exitCode !== 0 && gone.exitCode !== 3) throw new Error(`The host could not be deleted: ${gone.stderr}`);
  });

  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await product.cliWith({ timeoutMs: patienceMs }, ...args);
    assert.equal(exitCode, 0, `cellar ${args.join(' ')}: ${stderr}`);
    return stdout + stderr;
  };
  const hosts = () => product.json<HostView[]>('hosts');
  const clusters = (...filter: string[]) => product.json<ClusterView[]>('clusters', ...filter);
  const events = async (...filter: string[]): Promise<EventView[]> =>
    (await run('events', '--json', '--last', '0', ...filter))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as EventView);
  const rest = async <T>(method: string, path: string, json?: unknown): Promise<{ status: number; body: T }> => {
    const signal = AbortSignal.timeout(patienceMs);
    const answer = await product.rest(method, path, { signal, ...(json === undefined ? {} : { json }) });
    return { status: answer.status, body: (await answer.json()) as T };
  };
  let first: ClaimView;
  let second: ClaimView;

  await t.test('a host is added, and one of a type that is not there is refused', async () => {
    assert.deepEqual(await hosts(), []);
    assert.match(
      await run('host', 'add', 'local', '--type', 'process', '--capacity', '3', '--template', 'evm-dev'),
      /Added host/,
    );
    const [host] = await hosts();
    assert.deepEqual([host?.name, host?.status.clusters], ['local', 0]);
    const twice = await product.cli('host', 'add', 'local', '--type', 'process', '--template', 'evm-dev');
    assert.equal(twice.exitCode, 6, twice.stderr);
    assert.match(await run('blueprints'), /evm-dev/);
    assert.match(await run('blueprint', 'plan', 'evm-dev', 'chainId=5'), /anvil/);
  });

  await t.test('fillup builds three clusters and says so', async () => {
    assert.match(await run('host', 'fillup', 'local'), /Done: fillup of host local, 3 of 3/);
    const [host] = await hosts();
    assert.deepEqual(host?.status, { ...host?.status, clusters: 3, free: 3, used: 0 });
    assert.equal((await clusters('--free', '--state', 'ready')).length, 3);
    const told = await events();
    for (const reason of ['HostAdded', 'OperationBegun', 'ClusterAsked', 'ClusterReady', 'OperationDone'])
      assert.ok(
        told.some((event) => event.reason === reason),
        reason,
      );
    assert.equal(told.filter(({ reason }) => reason === 'ClusterReady').length, 3);
    const full = await product.cli('cluster', 'create', 'evm-dev', '--host', 'local');
    assert.equal(full.exitCode, 7, full.stderr);
  });

  await t.test('one is had by the command, another one by REST', async () => {
    first = await product.json<ClaimView>('apply', 'evm-dev');
    const again = await product.json<ClaimView>('apply', 'evm-dev');
    assert.equal(again.id, first.id, 'whoever has one that fits gets that one');
    const answer = await rest<ClaimView>('POST', '/api/v1/claims', { blueprint: 'evm-dev', allow_multiple: true });
    assert.equal(answer.status, 200);
    second = answer.body;
    assert.notEqual(second.cluster?.name, first.cluster?.name);
    const [host] = await hosts();
    assert.deepEqual([host?.status.used, host?.status.free], [2, 1]);
    assert.equal((await clusters('--used')).length, 2);
    assert.match(await run('claims'), new RegExp(first.cluster?.name ?? '-'));
  });

  await t.test('a transaction on each', async () => {
    for (const { cluster } of [first, second]) {
      const url = cluster?.endpoints['rpc'] ?? '';
      const [from, to] = (await rpc(url, 'eth_accounts')) as [string, string];
      const hash = await rpc(url, 'eth_sendTransaction', { from, to, value: '0x1' });
      // The hash is known before the block is.
      await waitUntil(async () => (await rpc(url, 'eth_getTransactionReceipt', hash)) !== null, patienceMs);
      const receipt = (await rpc(url, 'eth_getTransactionReceipt', hash)) as { status: string };
      assert.equal(receipt.status, '0x1');
      assert.equal(await rpc(url, 'eth_blockNumber'), '0x1');
    }
    const name = first.cluster?.name ?? '';
    assert.match(await run('cluster', 'logs', name, '--tail', '200'), /eth_sendTransaction/);
    assert.match(await run('cluster', 'show', name), /http:\/\/127\.0\.0\.1/);
    assert.match(await run('cluster', 'stats', name), /MiB/);
  });

  await t.test('what cannot be had is refused with its reason', async () => {
    const cases: [unknown, number, string][] = [
      [{ blueprint: 'no-such' }, 404, 'blueprint_missing'],
      [{ blueprint: 'evm-dev', parameters: { chainId: '5' } }, 404, 'no_match'],
      [{ blueprint: 'evm-dev', parameters: { chainId: 'abc' } }, 400, 'parameter_invalid'],
      [{ blueprint: 'evm-dev', parameters: { chain: '5' }, wait_seconds: 60 }, 400, 'parameter_invalid'],
      [{ parameters: { chainId: '5'.repeat(2000) }, wait_seconds: 60 }, 400, 'label_too_long'],
      [{ labels: { ['x'.repeat(64)]: '' } }, 400, 'label_too_long'],
      [{ blueprint: 'evm-dev', wait_seconds: 1000 }, 400, ''],
      [{ blueprint: 'evm-dev', selectors: [{ labels: 'zone' }] }, 400, 'selector_invalid'],
    ];
    for (const [wish, status, reason] of cases) {
      const answer = await product.rest('POST', '/api/v1/claims', { json: wish });
      const problem = (await answer.json()) as { reason?: string };
      assert.equal(answer.status, status, JSON.stringify(problem));
      assert.match(answer.headers.get('content-type') ?? '', /application\/problem\+json/);
      if (reason) assert.equal(problem.reason, reason);
    }
    const third = await rest<ClaimView>('POST', '/api/v1/claims', { blueprint: 'evm-dev', allow_multiple: true });
    const none = await rest<{ reason: string }>('POST', '/api/v1/claims', { blueprint: 'evm-dev', allow_multiple: true });
    assert.deepEqual([none.status, none.body.reason], [429, 'none_free']);
    assert.equal((await product.cli('apply', 'evm-dev', '--multiple')).exitCode, 7);
    await rest('POST', `/api/v1/claims/${third.body.id}:release`, {});
    const used = await product.cli('host', 'reset', 'local', '--yes');
    assert.equal(used.exitCode, 6, used.stderr);
  });

  await t.test('events arrive as they happen', async () => {
    const leave = new AbortController();
    const answer = await product.rest('GET', `/api/v1/fleet/events?follow=true&cluster=${first.cluster?.name}`, {
      headers: { accept: 'text/event-stream' },
      signal: AbortSignal.any([leave.signal, AbortSignal.timeout(patienceMs)]),
    });
    assert.match(answer.headers.get('content-type') ?? '', /text\/event-stream/);
    await run('renew', first.cluster?.name ?? '', '--ttl', '1h');
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of answer.body ?? []) {
      text += decoder.decode(piece, { stream: true });
      if (text.includes('ClaimRenewed')) break;
    }
    leave.abort();
    assert.match(text, /^id: \d+\ndata: \{/m);
    assert.match(text, /ClusterReady/);
  });

  await t.test('given back, they come back to the pool as new ones', async () => {
    assert.match(await run('release', first.cluster?.name ?? ''), /Released/);
    const released = await rest<ClaimView>('POST', `/api/v1/claims/${second.id}:release`, {});
    assert.equal(released.body.state, 'STATE_ENDED');
    assert.ok(released.body.heldSeconds > 0);
    await waitUntil(async () => (await hosts())[0]?.status.free === 3, patienceMs);
    const all = await clusters();
    assert.deepEqual(
      all.map(({ claim, state }) => [claim, state]),
      all.map(() => ['', 'STATE_READY']),
    );
    const fresh = all.find(({ name }) => name === first.cluster?.name);
    assert.equal(fresh?.incarnation, 2);
    assert.equal(await rpc(fresh?.endpoints['rpc'] ?? '', 'eth_blockNumber'), '0x0');
    const life = (await events('--cluster', fresh?.name ?? '')).map(({ reason }) => reason);
    for (const reason of ['ClaimBound', 'ClaimEnded', 'ClusterRenewed', 'ClusterReady'])
      assert.ok(life.includes(reason), `${reason} is missing in ${life.join(', ')}`);
    const { stdout } = await product.cli('events', '--cluster', fresh?.name ?? '', '--last', '2', '--json');
    assert.equal(stdout.trim().split('\n').length, 2);
  });

  await t.test('the host is deleted, and nothing is left running', async () => {
    const refused = await product.cli('host', 'delete', 'local', '--yes');
    assert.equal(refused.exitCode, 6, refused.stderr);
    const pids = memberProcesses(product.home);
    assert.ok(pids.length >= 3, 'members carry their mark and live below the home');
    assert.match(await run('host', 'delete', 'local', '--force', '--yes'), /Done: delete of host local/);
    await waitUntil(async () => (await hosts()).length === 0, patienceMs);
    assert.deepEqual(await clusters(), []);
    assert.deepEqual(memberProcesses(product.home), []);
  });
});
