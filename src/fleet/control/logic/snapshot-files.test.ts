import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import type { StoredSnapshot, VolumePlace } from '../store/snapshot-store.ts';
import { type SaveOptions, SnapshotFiles } from './snapshot-files.ts';

const snapshot: StoredSnapshot = {
  ...{ id: 'id-1', cluster: 'c', name: 's', claim: '', state: 'creating', reason: '', message: '', blueprint: 'b', digest: 'd' },
  ...{ parameters: {}, incarnation: 1, ports: [], secrets: { token: 'hidden' }, sizeBytes: 0, actor: 'ann', createdMs: 1 },
  volumes: ['one', 'two'].map((member) => ({ member, volume: 'data' })),
};
const options: SaveOptions = { sizeBytesMax: 1e9, onBytes: async () => undefined, signal: AbortSignal.any([]) };
const never = AbortSignal.any([]);
const withReason = (reason: string) => (error: unknown) => Fault.from(error).reason === reason;

function open(t: TestContext): { readonly folder: string; readonly files: SnapshotFiles } {
  const home = mkdtempSync(join(tmpdir(), 'cellar-files-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const folder = join(home, 'snapshots');
  return { folder, files: new SnapshotFiles(folder) };
}

const contents = new Map(snapshot.volumes.map(({ member }) => [member, [randomBytes(100_000), Buffer.alloc(3_000_000)]]));
async function* read({ member }: VolumePlace): AsyncGenerator<Uint8Array> {
  yield* contents.get(member) ?? [];
}

test('what was saved is read again, and is for its account alone', async (t) => {
  const { folder, files } = open(t);
  const told: number[] = [];
  const sizeBytes = await files.save(snapshot, read, { ...options, onBytes: async (_, bytes) => void told.push(bytes) });
  assert.ok(sizeBytes > 200_000 && sizeBytes < 300_000, 'zeros take no room');
  assert.ok(told.length >= 2);
  const volumes = await files.check(snapshot, never);
  for (const volume of volumes) {
    const content = Buffer.concat(await Array.fromAsync(files.read(snapshot, volume, never)));
    assert.ok(content.equals(Buffer.concat(contents.get(volume.member) ?? [])));
    assert.equal(statSync(join(folder, snapshot.id, volume.file)).mode & 0o777, 0o600);
  }
  assert.equal(statSync(join(folder, snapshot.id)).mode & 0o777, 0o700);
  for await (const piece of files.read(snapshot, volumes[0] ?? assert.fail(), never)) {
    assert.ok(piece.length > 0);
    break; // Whoever leaves early leaves nothing open.
  }
  await files.save(snapshot, read, options);
  assert.deepEqual(readdirSync(folder), [snapshot.id], 'twice is once');
  await files.remove(snapshot);
  assert.deepEqual(readdirSync(folder), []);
});

test('what cannot be saved whole is not there', async (t) => {
  const { folder, files } = open(t);
  await assert.rejects(files.save(snapshot, read, { ...options, sizeBytesMax: 150_000 }), withReason('snapshot_too_large'));
  assert.deepEqual(readdirSync(folder), []);
  const broken = async function* (place: VolumePlace) {
    yield* read(place);
    if (place.member === 'two') throw new Error('the engine is gone');
  };
  await assert.rejects(files.save(snapshot, broken, options), /the engine is gone/);
  assert.deepEqual(readdirSync(folder), []);
  const leave = new AbortController();
  const left = files.save(snapshot, read, { ...options, onBytes: async () => leave.abort(), signal: leave.signal });
  await assert.rejects(left);
  assert.deepEqual(readdirSync(folder), []);
});

test('damage is told before anything is read', async (t) => {
  const { folder, files } = open(t);
  await assert.rejects(files.check(snapshot, never), withReason('snapshot_missing'));
  const damages: Readonly<Record<string, (path: string) => void>> = {
    snapshot_damaged: (path) => truncateSync(join(path, 'two.data.tar.zst'), 100),
    snapshot_missing: (path) => rmSync(join(path, 'two.data.tar.zst')),
  };
  for (const [reason, damage] of Object.entries(damages)) {
    await files.save(snapshot, read, options);
    damage(join(folder, snapshot.id));
    await assert.rejects(files.check(snapshot, never), withReason(reason));
  }
  writeFileSync(join(folder, snapshot.id, 'manifest.json'), '{"format":');
  await assert.rejects(files.check(snapshot, never), withReason('snapshot_damaged'));
});

test('all of it goes into one archive, with sums; one that is damaged breaks off', async (t) => {
  const { folder, files } = open(t);
  await assert.rejects(Array.fromAsync(files.pack(snapshot, never)), withReason('snapshot_missing'));
  await files.save(snapshot, read, options);
  const archive = Buffer.concat(await Array.fromAsync(files.pack(snapshot, never)));
  assert.ok(!archive.includes('hidden'), 'secrets of the cluster are not in it');
  const out = mkdtempSync(join(tmpdir(), 'cellar-unpacked-'));
  t.after(() => rmSync(out, { recursive: true, force: true }));
  execFileSync('tar', ['-xf', '-', '-C', out], { input: archive });
  const checked = execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: join(out, 's'), encoding: 'utf8' });
  assert.equal(checked, 'one.data.tar.zst: OK\ntwo.data.tar.zst: OK\n');
  assert.equal(statSync(join(out, 's', 'manifest.json')).mode & 0o777, 0o600);
  for await (const piece of files.pack(snapshot, never)) {
    assert.ok(piece.length > 0);
    break; // Whoever leaves early leaves nothing open.
  }
  const path = join(folder, snapshot.id, 'two.data.tar.zst');
  const whole = readFileSync(path);
  for (const [reason, damage] of [
    ['snapshot_damaged', () => writeFileSync(path, whole.with(50, (whole[50] ?? 0) ^ 1))],
    ['snapshot_damaged', () => truncateSync(path, 100)],
    ['snapshot_missing', () => rmSync(path)],
  ] as const) {
    damage();
    await assert.rejects(Array.fromAsync(files.pack(snapshot, never)), withReason(reason));
  }
});
