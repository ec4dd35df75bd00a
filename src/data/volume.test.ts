import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { mountVolume, type VolumeKind, volumesMissing } from './testing/mount-volume.ts';
import { exactVolume, probeVolume, type Volume } from './volume.ts';

test('an ordinary folder is found to be exact, and nothing is left in it', () => {
  using folder = temporaryFolder();
  assert.deepEqual(probeVolume(join(folder.path, '.cellar')), exactVolume);
  assert.deepEqual(readdirSync(folder.path), []);
  mkdirSync(join(folder.path, '.cellar'));
  probeVolume(join(folder.path, '.cellar'));
  assert.deepEqual(readdirSync(join(folder.path, '.cellar')), []);
});

test('of a folder that is not there nothing is known, and it is not made', () => {
  using folder = temporaryFolder();
  assert.deepEqual(probeVolume(join(folder.path, 'away/.cellar')), { ...exactVolume, isKnown: false });
  assert.deepEqual(readdirSync(folder.path), []);
});

const skip = volumesMissing();
const natures: Readonly<Record<VolumeKind, Partial<Volume>>> = {
  exfat: { ignoresCase: true, alters: 'odd-names', hasInodes: false, tickMs: 1000, datesFolders: false },
  ntfs: { alters: 'odd-names' },
  'ntfs-caseless': { ignoresCase: true, alters: 'all-names' },
  nfd: { ignoresCase: true, ignoresComposition: true },
  'nfd-made-up': { ignoresCase: true, ignoresComposition: true, hasInodes: false },
};
for (const [kind, nature] of Object.entries(natures))
  test(`what a volume of kind ${kind} does is found by trying`, { skip }, async () => {
    await using volume = await mountVolume(kind as VolumeKind);
    assert.deepEqual(probeVolume(join(volume.path, '.cellar')), { ...exactVolume, ...nature });
  });
