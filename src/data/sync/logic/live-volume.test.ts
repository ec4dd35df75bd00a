import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountVolume, volumesMissing } from '#data/testing/mount-volume.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { exactVolume } from '../../volume.ts';
import { liveVolume } from './live-volume.ts';

test('a disk that is mounted after the start is tried out then', { skip: volumesMissing() }, async () => {
  using folder = temporaryFolder();
  await using disk = await mountVolume('exfat');
  const root = join(folder.path, 'root');
  const { volume, refresh } = liveVolume(root);
  assert.equal(volume.isKnown, false);
  mkdirSync(root);
  refresh();
  assert.deepEqual(volume, exactVolume);
  renameSync(root, `${root}-before`);
  symlinkSync(disk.path, root);
  refresh();
  assert.deepEqual([volume.ignoresCase, volume.hasInodes], [true, false]);
});
