import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import {
  ResyncChange_Kind,
  ResyncProgress_Phase,
  SyncStatus_Skipped_Kind,
  SyncStatus_State,
} from '#gen/cellar/data/v1/sync_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { index } from '../index/main.ts';
import { objects } from '../objects/main.ts';
import {
  type DataPlatform,
  type DataPlatformOptions,
  service,
  startDataPlatform,
  temporaryParent,
} from '../testing/data-platform.ts';
import { sync } from './main.ts';

const only = [index.name, sync.name, objects.name];

async function walk(data: DataPlatform): Promise<string[]> {
  const keys: string[] = [];
  for await (const { nodes } of data.index().walkNodes({ path: '' }))
    for (const { path, entry } of nodes) keys.push(entry?.isFolder ? `${path}/` : path);
  return keys;
}

async function events(data: DataPlatform): Promise<string[]> {
  const { events: found } = await data.streams('cellar.grpc.data.index.docs').read({ stream: 'nodes', after: 0n, limit: 10_000 });
  return found.map(({ payload, type }) => {
    const { node, oldPath } = fromBinary(NodeEventSchema, payload);
    return `${type.replace('node.', '')} ${oldPath ? `${oldPath} > ` : ''}${node?.path}`;
  });
}

async function ready(t: Parameters<typeof startDataPlatform>[0], options: DataPlatformOptions = {}): Promise<DataPlatform> {
  const data = await startDataPlatform(t, { only, ...options });
  await inState(data, SyncStatus_State.WATCHING);
  return data;
}

const inState = (data: DataPlatform, state: SyncStatus_State) =>
  until(async () => (await data.sync().getSyncStatus({})).state === state, 15_000);

const has = (data: DataPlatform, path: string) => async (): Promise<boolean> => {
  const { found } = await data.index().findEntries({ paths: [path] });
  return found[0]?.entry !== undefined;
};

async function putObject(data: DataPlatform, key: string, text: string) {
  return data.objects.putObject(
    (async function* () {
      yield { target: { bucket: 'docs', key } };
      yield { data: Buffer.from(text) };
    })(),
  );
}

describe('sync', () => {
  test('what lies in the folder is taken in; links and our own folder are not', async (t) => {
    const parent = temporaryParent(t);
    mkdirSync(join(parent, 'docs/a/b'), { recursive: true });
    writeFileSync(join(parent, 'docs/a/b/x.txt'), 'x');
    writeFileSync(join(parent, 'docs/a-b'), 'y');
    mkdirSync(join(parent, 'docs/.cellar/tmp'), { recursive: true });
    writeFileSync(join(parent, 'docs/.cellar/tmp/z'), 'z');
    symlinkSync('/etc', join(parent, 'docs/link'));
    symlinkSync('a-b', join(parent, 'docs/link-to-file'));
    const data = await ready(t, { parent });
    assert.deepEqual(await walk(data), ['a-b', 'a/', 'a/b/', 'a/b/x.txt']);
    const status = await data.sync().getSyncStatus({});
    assert.deepEqual([status.files, status.folders, status.sizeBytes, status.notified], [2n, 2n, 2n, true]);
  });

  test('other programs write, rename and remove', async (t) => {
    const data = await ready(t);
    const folder = data.folder();
    writeFileSync(join(folder, 'one'), '1');
    await until(has(data, 'one'));
    mkdirSync(join(folder, 'deep/er'), { recursive: true });
    writeFileSync(join(folder, 'deep/er/two'), '2');
    await until(has(data, 'deep/er/two'));
    const before = await data.index().getNode({ path: 'deep/er/two' });
    renameSync(join(folder, 'deep'), join(folder, 'moved'));
    await until(has(data, 'moved/er/two'));
    assert.equal((await data.index().getNode({ path: 'moved/er/two' })).id, before.id);
    writeFileSync(join(folder, 'moved/er/three'), '3');
    await until(has(data, 'moved/er/three'));
    renameSync(join(folder, 'one'), join(folder, 'moved/uno'));
    await until(has(data, 'moved/uno'));
    rmSync(join(folder, 'moved/er'), { recursive: true });
    await until(async () => !(await has(data, 'moved/er')()));
    assert.deepEqual(await walk(data), ['moved/', 'moved/uno']);
    assert.deepEqual(await events(data), [
      'created docs/one',
      'created docs/deep',
      'created docs/deep/er',
      'created docs/deep/er/two',
      'moved docs/deep > docs/moved',
      'created docs/moved/er/three',
      'moved docs/one > docs/moved/uno',
      'deleted docs/moved/er',
    ]);
  });

  test('a growing file is looked at until it is whole', async (t) => {
    const data = await ready(t);
    const path = join(data.folder(), 'log');
    for (let at = 1; at <= 5; at++) {
      appendFileSync(path, 'x'.repeat(1000));
      await until(has(data, 'log'));
    }
    await until(async () => (await data.index().getNode({ path: 'log' })).sizeBytes === 5000n);
  });

  test('a write through objects is covered by its position, and is one event', async (t) => {
    const data = await ready(t);
    const { position, etag } = await putObject(data, 'new/deep/file.txt', 'hello');
    // Else the folder around it went with its last file, and the two were told as one.
    await putObject(data, 'new/stays.txt', 'hello');
    const node = await data.index().getNode({ path: 'new/deep/file.txt', minSourcePosition: position });
    assert.deepEqual([node.sizeBytes, node.etag, node.contentType], [5n, etag, 'text/plain']);
    await data.objects.movePath({ bucket: 'docs', key: 'new', newKey: 'old' });
    const last = await data.objects.deletePath({ bucket: 'docs', key: 'old/deep', recursive: true });
    await assert.rejects(data.index().getNode({ path: 'old/deep/file.txt', minSourcePosition: last.position }), {
      code: 'not_found',
    });
    // Notifications of the same changes have been looked at when a later change by hand is in.
    writeFileSync(join(data.folder(), 'mark'), '');
    await until(has(data, 'mark'));
    assert.deepEqual(
      (await events(data)).filter((line) => !line.endsWith('mark')),
      [
        'created docs/new',
        'created docs/new/deep',
        'created docs/new/deep/file.txt',
        'created docs/new/stays.txt',
        'moved docs/new > docs/old',
        'deleted docs/old/deep',
      ],
    );
  });

  test('what changed while sync was away is found at the start, moves too', async (t) => {
    const parent = temporaryParent(t);
    const home = mkdtempSync(join(tmpdir(), 'cellar-home-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const folder = join(parent, 'docs');
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    for (let at = 0; at < 50; at++) writeFileSync(join(folder, `a/b/f${at}`), String(at));
    const first = await ready(t, { parent, home });
    const { id } = await first.index().getNode({ path: 'a/b/f7' });
    await first.stop();
    renameSync(join(folder, 'a'), join(folder, 'z'));
    renameSync(join(folder, 'z/b/f8'), join(folder, 'eight'));
    rmSync(join(folder, 'z/b/f9'));
    writeFileSync(join(folder, 'z/b/f10'), 'longer');
    const second = await ready(t, { parent, home });
    assert.equal((await second.index().getNode({ path: 'z/b/f7' })).id, id);
    const keys = await walk(second);
    assert.equal(keys.length, 2 + 49);
    assert.ok(keys.includes('eight') && !keys.includes('z/b/f9') && !keys.includes('z/b/f8'));
    assert.equal((await second.index().getNode({ path: 'z/b/f10' })).sizeBytes, 6n);
    assert.equal((await second.index().getNode({ path: '' })).files, 49n);
  });

  test('writes that sync missed are taken up from the position the index covers', async (t) => {
    const parent = temporaryParent(t);
    const home = mkdtempSync(join(tmpdir(), 'cellar-home-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const first = await ready(t, { parent, home });
    await putObject(first, 'a', '1');
    await first.stop();
    const alone = await startDataPlatform(t, { parent, home, only: [objects.name] });
    const { position } = await putObject(alone, 'b', '2');
    await alone.stop();
    const second = await startDataPlatform(t, { parent, home, only });
    assert.equal((await second.index().getNode({ path: 'b', minSourcePosition: position })).sizeBytes, 1n);
  });

  test('a vanished folder blocks and keeps everything; its return unblocks', async (t) => {
    const data = await ready(t);
    const folder = data.folder();
    writeFileSync(join(folder, 'precious'), '1');
    await until(has(data, 'precious'));
    renameSync(folder, `${folder}-away`);
    await inState(data, SyncStatus_State.BLOCKED);
    const { reason } = await data.sync().getSyncStatus({});
    assert.match(reason, /is not there/);
    assert.ok(await has(data, 'precious')());
    await assert.rejects(Array.fromAsync(data.sync().resync({})), { reason: 'folder_missing' });
    // As a mount point looks without its disk.
    mkdirSync(folder);
    await assert.rejects(Array.fromAsync(data.sync().resync({})), { reason: 'folder_empty' });
    writeFileSync(join(folder, 'beside'), 'by a program that writes there all the same');
    for (const _again of [1, 2]) await assert.rejects(Array.fromAsync(data.sync().resync({})), { reason: 'folder_other' });
    assert.ok(await has(data, 'precious')());
    rmSync(folder, { recursive: true });
    renameSync(`${folder}-away`, folder);
    await inState(data, SyncStatus_State.WATCHING);
    writeFileSync(join(folder, 'again'), '1');
    await until(has(data, 'again'));
    assert.deepEqual(await walk(data), ['again', 'precious']);
  });

  test('a folder that was restored from a copy is taken as the same', async (t) => {
    const data = await ready(t);
    const folder = data.folder();
    writeFileSync(join(folder, 'kept'), '1');
    writeFileSync(join(folder, 'lost'), '1');
    await until(async () => (await walk(data)).length === 2);
    const { id } = await data.index().getNode({ path: 'kept' });
    cpSync(folder, `${folder}-copy`, { recursive: true });
    rmSync(`${folder}-copy/lost`);
    renameSync(folder, `${folder}-old`);
    renameSync(`${folder}-copy`, folder);
    await until(async () => (await walk(data)).length === 1);
    assert.equal((await data.index().getNode({ path: 'kept' })).id, id);
    writeFileSync(join(folder, 'new'), '1');
    await until(has(data, 'new'));
  });

  test('many deletions at once wait for a person', async (t) => {
    const data = await ready(t, { settings: { [sync.name]: { askAboveDeletes: 10, askAbovePercent: 50 } } });
    const folder = data.folder();
    mkdirSync(join(folder, 'many'));
    for (let at = 0; at < 40; at++) writeFileSync(join(folder, `many/f${at}`), '');
    writeFileSync(join(folder, 'other'), '');
    await until(async () => (await walk(data)).length === 42);
    rmSync(join(folder, 'many'), { recursive: true });
    await inState(data, SyncStatus_State.BLOCKED);
    writeFileSync(join(folder, 'still-seen'), '');
    await until(has(data, 'still-seen'));
    assert.equal((await walk(data)).length, 43);
    await assert.rejects(Array.fromAsync(data.sync().resync({})), (error) => {
      assert.ok(error instanceof Fault);
      assert.equal(error.reason, 'deletes_unconfirmed');
      assert.match(error.hint ?? '', /cellar datasource resync docs --confirm-deletes$/);
      return true;
    });
    const { blocked } = await data.sync().getSyncStatus({});
    assert.deepEqual(
      [blocked?.reason, blocked?.deletes, blocked?.total, blocked?.examples],
      ['deletes_unconfirmed', 41n, 43n, ['many']],
    );
    const dry = (await Array.fromAsync(data.sync().resync({ dryRun: true }))).at(-1);
    assert.deepEqual([dry?.done, dry?.deleted, dry?.created], [true, 41n, 0n]);
    assert.equal((await walk(data)).length, 43);
    const real = (await Array.fromAsync(data.sync().resync({ confirmDeletes: true }))).at(-1);
    assert.deepEqual([real?.deleted, real?.seen], [41n, 2n]);
    assert.deepEqual(await walk(data), ['other', 'still-seen']);
    assert.equal((await data.sync().getSyncStatus({})).state, SyncStatus_State.WATCHING);
  });

  test('while paused, changes by others wait and own writes do not; what was missed is found at the end', async (t) => {
    const parent = temporaryParent(t);
    const home = mkdtempSync(join(tmpdir(), 'cellar-home-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const first = await ready(t, { parent, home });
    const folder = first.folder();
    writeFileSync(join(folder, 'before'), '1');
    await until(has(first, 'before'));
    const paused = await first.sync().pause({ reason: 'the disk is replaced' });
    assert.deepEqual([paused.state, paused.pauseReason], [SyncStatus_State.PAUSED, 'the disk is replaced']);
    mkdirSync(join(folder, 'others'));
    writeFileSync(join(folder, 'others/file'), '1');
    rmSync(join(folder, 'before'));
    await until(async () => (await first.sync().getSyncStatus({})).waiting >= 2n);
    const { position } = await putObject(first, 'others/own', '22');
    assert.equal((await first.index().getNode({ path: 'others/own', minSourcePosition: position })).sizeBytes, 2n);
    assert.deepEqual(await walk(first), ['before', 'others/', 'others/own']);
    await assert.rejects(Array.fromAsync(first.sync().resync({})), { reason: 'paused' });
    const dry = (await Array.fromAsync(first.sync().resync({ dryRun: true, limit: 10 }))).at(-1);
    assert.deepEqual([dry?.created, dry?.deleted, dry?.phase], [1n, 1n, ResyncProgress_Phase.DONE]);
    await first.stop();
    const second = await startDataPlatform(t, { parent, home, only });
    const still = await second.sync().pause({ reason: 'still' });
    assert.deepEqual([still.pausedSince, still.pauseReason], [paused.pausedSince, 'still']);
    assert.deepEqual(await walk(second), ['before', 'others/', 'others/own']);
    await second.sync().resume({});
    await inState(second, SyncStatus_State.WATCHING);
    assert.deepEqual(await walk(second), ['others/', 'others/file', 'others/own']);
    writeFileSync(join(folder, 'after'), '1');
    await until(has(second, 'after'));
  });

  test('a resync of a branch names its changes and leaves the rest alone', async (t) => {
    const data = await ready(t);
    const folder = data.folder();
    for (const name of ['a', 'b']) mkdirSync(join(folder, name));
    await until(has(data, 'b'));
    await data.sync().pause({ reason: '' });
    for (const name of ['a/x', 'b/y']) writeFileSync(join(folder, name), '1');
    const steps = await Array.fromAsync(data.sync().resync({ path: 'a', dryRun: true, limit: 5 }));
    assert.deepEqual(
      steps.flatMap(({ changes }) => changes.map(({ kind, path }) => [kind, path])),
      [[ResyncChange_Kind.CREATE, 'a/x']],
    );
    await assert.rejects(Array.fromAsync(data.sync().resync({ path: 'none', dryRun: true })), { code: 'not_found' });
    await data.sync().resume({});
    await until(async () => (await walk(data)).length === 4);
  });

  test('where folders are buckets, those that clients and other programs make are folders of one tree', async (t) => {
    const data = await ready(t, { buckets: 'docs' });
    const { position } = await data.objects.createBucket({ bucket: 'made-here' });
    await data.index().getNode({ path: 'made-here', minSourcePosition: position });
    mkdirSync(join(data.folder(), 'by-hand'));
    writeFileSync(join(data.folder(), 'by-hand/file'), '1');
    writeFileSync(join(data.folder(), 'stray'), 'in no bucket');
    await until(has(data, 'by-hand/file'));
    const put = await data.objects.putObject(
      (async function* () {
        yield { target: { bucket: 'made-here', key: 'a/b' } };
        yield { data: Buffer.from('xyz') };
      })(),
    );
    assert.equal((await data.index().getNode({ path: 'made-here/a/b', minSourcePosition: put.position })).etag, put.etag);
    assert.deepEqual(await walk(data), ['by-hand/', 'by-hand/file', 'made-here/', 'made-here/a/', 'made-here/a/b']);
    const gone = await data.objects.deleteBucket({ bucket: 'made-here', recursive: true });
    await assert.rejects(data.index().getNode({ path: 'made-here', minSourcePosition: gone.position }), { code: 'not_found' });
    await Array.fromAsync(data.sync().resync({}));
    assert.deepEqual(await walk(data), ['by-hand/', 'by-hand/file']);
  });

  test('what is not taken in is counted by its kind', async (t) => {
    const parent = temporaryParent(t);
    symlinkSync('/etc', join(parent, 'docs/link'));
    const data = await ready(t, { parent });
    const { skipped, skippedKinds, skippedExamples } = await data.sync().getSyncStatus({});
    assert.deepEqual([skipped, skippedExamples], [1n, ['link: links are not followed']]);
    assert.deepEqual(
      skippedKinds.map(({ kind, count }) => [kind, count]),
      [[SyncStatus_Skipped_Kind.LINK, 1n]],
    );
  });

  test('names that are not UTF-8 are shown escaped, come and go', async (t) => {
    const parent = temporaryParent(t);
    const bad = Buffer.concat([Buffer.from(join(parent, 'docs/bad')), Buffer.from([0xff, 0xfe])]);
    writeFileSync(bad, '1');
    writeFileSync(join(parent, 'docs/good\u{1f600}'), '1');
    const data = await ready(t, { parent });
    assert.deepEqual(await walk(data), ['bad␛FF␛FE', 'good\u{1f600}']);
    const { skipped, escaped, escapedExamples } = await data.sync().getSyncStatus({});
    assert.deepEqual([skipped, escaped, escapedExamples], [0n, 1n, ['bad␛FF␛FE']]);
    rmSync(bad);
    await until(async () => (await walk(data)).length === 1);
    writeFileSync(bad, '1');
    await until(has(data, 'bad␛FF␛FE'));
  });

  test('a file whose content changed within its old size and time is found by its inode', async (t) => {
    const parent = temporaryParent(t);
    const path = join(parent, 'docs/f');
    writeFileSync(path, 'aaa');
    utimesSync(path, 1000, 1000);
    const data = await ready(t, { parent });
    const before = await data.index().getNode({ path: 'f' });
    writeFileSync(`${path}.new`, 'bbb');
    utimesSync(`${path}.new`, 1000, 1000);
    renameSync(`${path}.new`, path);
    await until(async () => (await data.index().getNode({ path: 'f' })).etag !== before.etag);
    assert.equal((await data.index().getNode({ path: 'f' })).id, before.id);
  });

  test('a burst of files is all there, each told once', async (t) => {
    const data = await ready(t);
    const folder = data.folder();
    for (let at = 0; at < 3000; at++) {
      if (at % 100 === 0) mkdirSync(join(folder, `d${at / 100}`));
      writeFileSync(join(folder, `d${Math.floor(at / 100)}/f${at}`), 'x');
    }
    await until(async () => (await data.index().getPosition({})).files === 3000n, 20_000);
    await Array.fromAsync(data.sync().resync({}));
    const told = (await events(data)).filter((line) => line.startsWith('created'));
    assert.equal(new Set(told).size, told.length);
    assert.equal(told.length, 3030);
  });

  test('the stream of changes begins anew: everything is compared and the position follows', async (t) => {
    const parent = temporaryParent(t);
    const home = mkdtempSync(join(tmpdir(), 'cellar-home-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const first = await ready(t, { parent, home });
    for (let at = 0; at < 5; at++) await putObject(first, `f${at}`, '1');
    const { position } = await putObject(first, 'last', '1');
    await first.index().getNode({ path: 'last', minSourcePosition: position });
    await first.stop();
    for (const name of readdirSync(home)) if (name.includes('objects')) rmSync(join(home, name), { recursive: true });
    const second = await ready(t, { parent, home });
    const again = await putObject(second, 'again', '1');
    assert.ok(again.position < position);
    await until(async () => (await second.index().getPosition({})).sourcePosition === again.position);
    assert.ok(await has(second, 'again')());
  });

  test('services are named after their instance', async (t) => {
    const data = await ready(t);
    assert.equal(data.platform.surroundings.registry.get('cellar.grpc.data.sync.docs')?.state, 'ready');
    assert.equal(service.via, '');
  });
});
