import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { mountVolume, type VolumeKind, volumesMissing } from '#data/testing/mount-volume.ts';
import { installation } from '#s3/bucket-settings.ts';
import { besideReference } from './testing/beside-reference.ts';
import { stepsOf, type Verb } from './testing/commands.ts';
import { startBackend, textBody } from './testing/start-backend.ts';

/*
 * The same random requests, restarts and faults as in `model.test.ts`, on volumes that take several names for one, refuse some, or make up
 * inodes, with keys that such volumes cannot tell apart. `CELLAR_RANDOM_RUNS`, `CELLAR_SEED` and `CELLAR_SHRINK` mean the same.
 */
const runs = Number(process.env['CELLAR_RANDOM_RUNS'] ?? 4);

const kinds: readonly VolumeKind[] = ['exfat', 'ntfs', 'ntfs-caseless', 'nfd', 'nfd-made-up'];
const verbs: readonly Verb[] = ['put', 'delete', 'copy', 'read', 'list', 'upload', 'part', 'complete', 'abort'];
const allVerbs: readonly Verb[] = [...verbs, 'tag', 'versions', 'versioning'];
const cased = ['A', 'a', 'B/c', 'b/C', 'b/c', 'B', 'D/', 'd/', 'd/e'];
const odd = [
  '\u00e9',
  'e\u0301',
  '\u00c9',
  'f/\u00e9',
  'f/e\u0301',
  'con',
  'a:b',
  'a:b/c',
  'g.',
  'g',
  'h ',
  'h',
  '\u212a',
  'k',
  '.CELLAR/tmp/a',
];

async function check(t: TestContext, kind: VolumeKind, keys: readonly string[], hasVersions: boolean): Promise<void> {
  await using volume = await mountVolume(kind);
  const next = await besideReference(t, { hasVersions, parent: volume.path });
  const property = fc.asyncProperty(stepsOf(keys, hasVersions ? allVerbs : verbs, 30), async (steps) => {
    const pair = await next();
    for (const step of steps) await pair.take(step);
  });
  const seed = process.env['CELLAR_SEED'] ? { seed: Number(process.env['CELLAR_SEED']) } : {};
  const endOnFailure = !process.env['CELLAR_SHRINK'];
  await fc.assert(property, { numRuns: runs, endOnFailure, ...seed });
}

const skip = volumesMissing();
for (const kind of kinds) {
  test(`${kind}: keys that differ in their case only`, { skip }, (t) => check(t, kind, cased, false));
  test(`${kind}: all keys with versions`, { skip }, (t) => check(t, kind, [...cased, ...odd], true));
}

test('a folder in other case is no bucket, and nobody writes into it', { skip }, async (t) => {
  await using volume = await mountVolume('exfat');
  mkdirSync(join(volume.path, 'b'));
  mkdirSync(join(volume.path, 'Photos'));
  const { backend } = await startBackend(t, { parent: volume.path });
  assert.deepEqual(
    (await backend.listBuckets()).map(({ name }) => name),
    ['bucket'],
  );
  await assert.rejects(backend.put({ bucket: 'photos', key: 'a' }, textBody('a'), {}), /does not exist/);
  await assert.rejects(backend.createBucket('photos', { owner: installation }), /it exists/);
});
