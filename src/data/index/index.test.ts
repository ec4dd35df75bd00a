import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Change_Kind, Index } from '#gen/cellar/data/v1/index_pb.ts';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
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
