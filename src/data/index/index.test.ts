import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Change_Kind, Index, type NodeEvent, NodeEvent_Kind, type WalkNodesRequestSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { startTestPlatform, type TestPlatform } from '#kernel/testing/platform.ts';
import { index } from './main.ts';

const plan = { datasource: 'docs', folder: '/nowhere', objectsService: 'cellar.grpc.data.objects.local1' };
const put = (path: string, sizeBytes = 1n) => ({
  ...{
    kind: Change_Kind.PUT,
    path,
    entry: { isFolder: false, sizeBytes, modifyTimeNs: 1_700_000_000_123_456_789n, inode: 2n ** 63n + 5n, etag: '' },
  },
});

test('readers wait for the position they ask for, and not for ever', async () => {
  await using platform = await startTestPlatform([{ definition: index, instance: 'docs', plan }]);
  const client = platform.client(Index, serviceCaller('cellar.grpc.test'), 'cellar.grpc.data.index.docs');
  const waiting = client.listNodes({ path: '', minSourcePosition: 7n });
  const waitingLonger = client.getNode({ path: 'a', minSourcePosition: 8n });
  const failed = assert.rejects(client.getNode({ path: 'a', minSourcePosition: 99n }), {
    code: 'deadline_exceeded',
    reason: 'index_behind',
  });
  await client.applyChanges({ changes: [put('a')], sourcePosition: 7n });
  assert.deepEqual(
    (await waiting).nodes.map(({ path }) => path),
    ['docs/a'],
  );
  await client.applyChanges({ changes: [put('a', 2n)], sourcePosition: 8n });
  assert.equal((await waitingLonger).sizeBytes, 2n);
  await failed;
  const canceled = new AbortController();
  const given = client.getNode({ path: 'a', minSourcePosition: 99n }, { signal: canceled.signal });
  canceled.abort();
  await assert.rejects(given, { code: 'canceled' });
});

test('what storage says comes back to the microsecond; changes without sense are refused whole', async () => {
  await using platform = await startTestPlatform([{ definition: index, instance: 'docs', plan }]);
  const client = platform.client(Index, serviceCaller('cellar.grpc.test'), 'cellar.grpc.data.index.docs');
  await client.applyChanges({ changes: [put('a/b')] });
  const { found } = await client.findEntries({ paths: ['a/b', 'none', 'a'] });
  assert.deepEqual([found[0]?.entry?.modifyTimeNs, found[0]?.entry?.inode], [1_700_000_000_123_456_000n, 2n ** 63n + 5n]);
  assert.equal(found[1]?.entry, undefined);
  assert.deepEqual([found[2]?.entry?.isFolder, found[2]?.nodes], [true, 2n]);
  for (const bad of [
    { kind: Change_Kind.UNSPECIFIED, path: 'x' },
    { kind: Change_Kind.PUT, path: 'x' },
    { ...put('x'), path: '../x' },
    { kind: Change_Kind.DELETE, path: '' },
    { kind: Change_Kind.MOVE, path: 'a', newPath: 'a/b/c' },
  ]) {
    await assert.rejects(client.applyChanges({ changes: [put('y'), bad], sourcePosition: 5n }));
  }
  const position = await client.getPosition({});
  assert.deepEqual([position.files, position.sourcePosition], [1n, 0n]);
});

const where = [{ definition: index, instance: 'docs', plan }] as const;
const open = (platform: TestPlatform) => platform.client(Index, serviceCaller('cellar.grpc.test'), 'cellar.grpc.data.index.docs');
const kindNames = new Map<number, string>(Object.entries(NodeEvent_Kind).map(([name, value]) => [value, name]));
const names = (changes: readonly NodeEvent[]) => changes.map(({ kind, node }) => `${kindNames.get(kind)} ${node?.path}`);

test('a walk gives what its filter lets through, up to a limit, and goes on from there', async () => {
  await using platform = await startTestPlatform(where);
  const client = open(platform);
  await client.applyChanges({ changes: ['a/1.txt', 'a/2.jpg', 'b/3.txt', 'c/4.txt'].map((path, at) => put(path, BigInt(at))) });
  const walk = async (request: MessageInitShape<typeof WalkNodesRequestSchema>) => {
    const responses = await Array.fromAsync(client.walkNodes(request));
    return { paths: responses.flatMap(({ nodes }) => nodes.map(({ path }) => path)), token: responses.at(-1)?.resumeToken ?? '' };
  };
  const filter = { namePattern: '*.txt', sizeBytesMin: 0n };
  const first = await walk({ path: '', filter, limit: 2n });
  assert.deepEqual(first.paths, ['a/1.txt', 'b/3.txt']);
  assert.deepEqual((await walk({ path: '', filter, resumeToken: first.token })).paths, ['c/4.txt']);
  assert.deepEqual((await walk({ path: '', filter: { kind: Node_Kind.FOLDER } })).paths, ['a', 'b', 'c']);
  const later = { seconds: 1_700_000_001n, nanos: 0 };
  assert.deepEqual((await walk({ path: 'a', filter: { kind: Node_Kind.FILE, modifiedFrom: later } })).paths, []);
  await assert.rejects(walk({ path: 'a', resumeToken: first.token }), { reason: 'page_token_invalid' });
});

test('the feed gives changes from a position on, with their positions, and says when to start over', async () => {
  await using platform = await startTestPlatform(where);
  const client = open(platform);
  const { position } = await client.applyChanges({ changes: [put('a/x'), put('b/y')] });
  assert.equal(position, 4n);
  const all = await client.listChanges({ after: 0n });
  assert.deepEqual(names(all.changes), ['CREATED docs/a', 'CREATED docs/a/x', 'CREATED docs/b', 'CREATED docs/b/y']);
  assert.deepEqual([all.changes.map((change) => change.position), all.position, all.hasMore], [[1n, 2n, 3n, 4n], 4n, false]);
  const page = await client.listChanges({ after: 1n, pageSize: 2, path: 'a' });
  assert.deepEqual([names(page.changes), page.position, page.hasMore], [['CREATED docs/a/x'], 3n, true]);
  await client.applyChanges({ changes: [put('a/x', 2n), put('a/x', 3n), { kind: Change_Kind.DELETE, path: 'b' }] });
  const coalesced = await client.listChanges({ after: 0n, coalesce: true });
  assert.deepEqual(names(coalesced.changes), ['CREATED docs/a', 'CREATED docs/a/x']);
  assert.equal(coalesced.changes[1]?.node?.sizeBytes, 3n);
  await assert.rejects(client.listChanges({ after: 99n }), { code: 'out_of_range', reason: 'position_unknown' });
  const watching = new AbortController();
  const watched: string[] = [];
  await assert.rejects(async () => {
    for await (const { changes } of client.watchChanges({ after: 6n, path: '' }, { signal: watching.signal })) {
      watched.push(...names(changes));
      if (watched.length === 1) await client.applyChanges({ changes: [put('later')] });
      if (watched.length === 2) watching.abort();
    }
    throw watching.signal.reason;
  });
  assert.deepEqual(watched, ['DELETED docs/b', 'CREATED docs/later']);
});

test('a quiet batch counts its files and tells their folder', async () => {
  await using platform = await startTestPlatform(where);
  const client = open(platform);
  const { created } = await client.applyChanges({ changes: [put('a/1'), put('a/2')], quiet: true });
  assert.equal(created, 3n);
  assert.deepEqual(names((await client.listChanges({ after: 0n })).changes), ['CREATED docs/a', 'FILLED docs/a']);
});

test('a snapshot brings back the tree of its moment with its ids, and everybody starts over', async () => {
  await using platform = await startTestPlatform(where, { settings: { 'cellar.grpc.data.index': { snapshotsKept: 2 } } });
  const client = open(platform);
  await client.applyChanges({ changes: [put('a/x', 5n), put('b')], sourcePosition: 7n });
  const before = await client.getNode({ path: 'a/x' });
  const [taken] = (await Array.fromAsync(client.takeSnapshot({}))).flatMap(({ snapshot }) => snapshot ?? []);
  assert.ok(taken);
  assert.deepEqual([taken.files, taken.folders, taken.contentBytes, taken.position, taken.problem], [2n, 1n, 6n, 3n, '']);
  await client.applyChanges({ changes: [{ kind: Change_Kind.DELETE, path: 'a' }, put('c/z'), put('d')], sourcePosition: 9n });
  const { id: idOfD } = await client.getNode({ path: 'd' });
  const restored = await Array.fromAsync(client.restoreSnapshot({ name: taken.name }));
  assert.equal(restored.at(-1)?.done, true);
  assert.deepEqual(await client.getNode({ path: 'a/x' }), before);
  await assert.rejects(client.getNode({ path: 'd' }), { reason: 'node_missing' });
  const { files, sourcePosition, position } = await client.getPosition({});
  assert.deepEqual([files, sourcePosition], [2n, 0n]);
  assert.deepEqual(names((await client.listChanges({ after: position - 1n })).changes), ['RESET docs']);
  await client.applyChanges({ changes: [put('d')] });
  assert.notEqual((await client.getNode({ path: 'd' })).id, idOfD, 'ids are never used again');

  for (let more = 0; more < 3; more++) await Array.fromAsync(client.takeSnapshot({}));
  const { snapshots } = await client.listSnapshots({});
  assert.equal(snapshots.length, 2);
  await assert.rejects(Array.fromAsync(client.restoreSnapshot({ name: taken.name })), { reason: 'snapshot_missing' });
  await client.deleteSnapshot({ name: snapshots[0]?.name ?? '' });
  assert.deepEqual((await client.listSnapshots({})).snapshots, snapshots.slice(1));
  await assert.rejects(client.deleteSnapshot({ name: '../x' }), { reason: 'snapshot_missing' });
});
