import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { anvilMissing, freePortRange, rpc } from './chains.ts';
import { isReady, type Product, startProduct, waitUntil } from './harness.ts';

/** How long something may take on a busy machine. Unit: milliseconds. */
const patienceMs = 120_000;

const skip = anvilMissing();

interface ClusterView {
  readonly name: string;
  readonly state: string;
  readonly health: string;
  readonly endpoints: Readonly<Record<string, string>>;
}

interface SnapshotView {
  readonly name: string;
  readonly state: string;
  readonly cluster: string;
}

test('a chain is saved, goes on, and is put back; kills do not matter; a dump tells of it', {
  skip,
  timeout: 600_000,
}, async (t) => {
  let product: Product;
  let name = '';
  before(async () => {
    product = await startProduct({ isOneProcess: true, datasources: [] });
  });
  after(async () => {
    if (!product) return;
    if (!(await isReady(product.url))) await product.start();
    const gone = await product.cliWith({ timeoutMs: patienceMs }, 'host', 'delete', 'local', '--force', '--yes');
    await product[Symbol.asyncDispose]();
    if (gone.exitCode !== 0 && gone.exitCode !== 3) throw new Error(`The host could not be deleted: ${gone.stderr}`);
  });
  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await product.cliWith({ timeoutMs: patienceMs }, ...args);
    assert.equal(exitCode, 0, `cellar ${args.join(' ')}: ${stderr}`);
    return stdout + stderr;
  };
  const snapshots = () => product.json<SnapshotView[]>('cluster', 'snapshot', 'list');
  const cluster = () => product.json<ClusterView>('cluster', 'show', name);
  const isWell = async (): Promise<boolean> => {
    const { state, health } = await cluster();
    return state === 'STATE_READY' && health === 'HEALTH_OK';
  };
  const balanceOf = async (account: string): Promise<unknown> =>
    await rpc((await cluster()).endpoints['rpc'] ?? '', 'eth_getBalance', account, 'latest');
  const pay = async (to: string, value: string): Promise<void> => {
    const url = (await cluster()).endpoints['rpc'] ?? '';
    const [from] = (await rpc(url, 'eth_accounts')) as [string];
    const hash = await rpc(url, 'eth_sendTransaction', { from, to, value });
    await waitUntil(async () => (await rpc(url, 'eth_getTransactionReceipt', hash)) !== null, patienceMs);
  };
  const [early, late] = [`0x${'11'.repeat(20)}`, `0x${'22'.repeat(20)}`] as const;

  await t.test('saved by the command, put back by the command', async () => {
    const first = await freePortRange(10);
    const ports = ['--ports', `${first}-${first + 9}`];
    await run('host', 'add', 'local', '--type', 'process', '--capacity', '1', ...ports);
    const claim = await product.json<{ cluster: ClusterView }>('apply', 'evm-dev', '--wait', '60');
    name = claim.cluster.name;
    await pay(early, '0x7');
    assert.match(await run('cluster', 'snapshot', 'create', name, '--name', 'first'), /Done: snapshot of cluster/);
    assert.equal(await balanceOf(early), '0x7', 'it goes on');
    await pay(late, '0x9');
    assert.equal(await balanceOf(late), '0x9');
    assert.match(await run('cluster', 'snapshot', 'restore', name, 'first', '--yes'), /Done: restore of cluster/);
    assert.equal(await balanceOf(early), '0x7', 'what was paid before is there');
    assert.equal(await balanceOf(late), '0x0', 'what was paid after is gone');
    const twice = await product.cli('cluster', 'snapshot', 'create', name, '--name', 'first');
    assert.equal(twice.exitCode, 6, twice.stderr);
  });

  await t.test('by REST', async () => {
    const path = `/api/v1/clusters/${name}/snapshots`;
    const listed = (await (await product.rest('GET', path)).json()) as { snapshots: SnapshotView[] };
    assert.deepEqual(
      listed.snapshots.map((one) => [one.name, one.state]),
      [['first', 'STATE_READY']],
    );
    const lost = await product.rest('POST', `${path}/nothing:restore`, { json: {} });
    assert.equal(lost.status, 404);
    assert.equal(((await lost.json()) as { reason: string }).reason, 'snapshot_missing');
  });

  await t.test('downloaded by the command and by REST, and put into another cluster', async () => {
    const file = join(product.tmp, 'first.tar');
    assert.match(await run('cluster', 'snapshot', 'download', name, 'first', '--output', file), /keys/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    execFileSync('tar', ['-xf', file, '-C', product.tmp]);
    execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: join(product.tmp, 'first') });
    const answer = await product.rest('GET', `/api/v1/clusters/${name}/snapshots/first/archive`);
    assert.equal(answer.headers.get('content-type'), 'application/x-tar');
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(readFileSync(file)), 'the same bytes each time');
    const none = await product.cli('cluster', 'snapshot', 'download', name, 'nothing', '--output', join(product.tmp, 'none'));
    assert.deepEqual([none.exitCode, existsSync(join(product.tmp, 'none'))], [3, false], none.stderr);

    await run('host', 'update', 'local', '--capacity', '2');
    const other = await product.json<{ id: string; cluster: ClusterView }>('apply', 'evm-dev', '--multiple', '--wait', '60');
    const restore = ['cluster', 'snapshot', 'restore', name, 'first', '--into'];
    assert.match(await run(...restore, other.cluster.name, '--yes'), /Done: restore of cluster/);
    assert.equal(await rpc(other.cluster.endpoints['rpc'] ?? '', 'eth_getBalance', early, 'latest'), '0x7');
    await run('release', other.cluster.name);
    const unused = await product.cli(...restore, other.cluster.name, '--yes');
    assert.ok([4, 6].includes(unused.exitCode), `not into one that is nobody's: ${unused.stderr}`);
    assert.equal((await product.cli(...restore, 'nowhere', '--yes')).exitCode, 3);
    await run('cluster', 'delete', other.cluster.name, '--yes');
    await run('host', 'update', 'local', '--capacity', '1');
  });

  await t.test('all of Cellar is killed while it saves, and while it puts back', async () => {
    const killed = async (...order: string[]): Promise<void> => {
      await run(...order, '--no-wait');
      process.kill(product.pid(), 'SIGKILL');
      await waitUntil(async () => !(await isReady(product.url)), patienceMs);
      await product.start();
    };
    await killed('cluster', 'snapshot', 'create', name, '--name', 'second');
    await waitUntil(async () => (await snapshots()).every(({ state }) => state === 'STATE_READY'), patienceMs);
    await waitUntil(isWell, patienceMs);
    assert.deepEqual((await snapshots()).map((one) => one.name).toSorted(), ['first', 'second']);
    await pay(late, '0x9');
    await killed('cluster', 'snapshot', 'restore', name, 'second', '--yes');
    await waitUntil(async () => (await isWell()) && (await balanceOf(late)) === '0x0', patienceMs);
    assert.equal(await balanceOf(early), '0x7');
  });

  await t.test('a damaged snapshot is told, and changes nothing', async () => {
    const folder = join(product.home, 'services', 'cellar.grpc.fleet.control', 'snapshots');
    for (const file of execFileSync('find', [folder, '-name', '*.zst'], { encoding: 'utf8' }).split('\n').filter(Boolean))
      execFileSync('sh', ['-c', 'printf x | dd of="$1" bs=1 seek=20 conv=notrunc', 'sh', file], { stdio: 'ignore' });
    await pay(late, '0x5');
    const { exitCode, stderr } = await product.cliWith(
      { timeoutMs: patienceMs },
      'cluster',
      'snapshot',
      'restore',
      name,
      'first',
      '--yes',
    );
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, /damaged/);
    await waitUntil(isWell, patienceMs);
    assert.equal(await balanceOf(late), '0x5');
    await run('cluster', 'snapshot', 'delete', name, 'first', '--yes');
    assert.deepEqual(
      (await snapshots()).map((one) => one.name),
      ['second'],
    );
  });

  await t.test('a dump', async () => {
    const file = join(product.tmp, 'dump.tar.gz');
    await run('cluster', 'dump', name, '--output', file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' });
    for (const part of ['record.json', 'events.jsonl', 'logs/node.log', 'dump.json'])
      assert.ok(names.includes(`${name}/${part}`));
    const answer = await product.rest('GET', `/api/v1/clusters/${name}/dump`);
    assert.equal(answer.headers.get('content-type'), 'application/gzip');
    assert.ok(gunzipSync(Buffer.from(await answer.arrayBuffer())).includes('SnapshotDeleted'));
    assert.ok(gunzipSync(readFileSync(file)).includes('SnapshotRestored'));
  });

  await t.test('a cluster that is given back takes its snapshots along', async () => {
    await run('release', name);
    await waitUntil(async () => (await snapshots()).length === 0, patienceMs);
  });
});
