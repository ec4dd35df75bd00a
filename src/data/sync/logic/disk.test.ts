import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { exactVolume } from '../../volume.ts';
import { Disk } from './disk.ts';
import { DiskMounts } from './mounts.ts';
import type { PackedRun } from './packed-files.ts';
import type { KnownWalks } from './storage.ts';

/** An index that has these files and folders, all with other properties than any on the disk. */
function knows(folders: Readonly<Record<string, readonly string[]>>): KnownWalks {
  const runs = Object.entries(folders).map(
    ([path, names]): PackedRun => ({
      path,
      folder: { mtimeUs: 1, inode: 1 },
      count: names.length,
      files: names.map((name) => `${name}/1/1/1`).join('/'),
    }),
  );
  return {
    folders: async function* () {
      yield runs;
    },
    entries: () => assert.fail('not asked of a disk'),
    hasAny: async () => true,
  };
}

test('of what cannot be read nothing is concluded', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async () => {
  using folder = temporaryFolder();
  const root = folder.path;
  for (const path of ['listed/sub/x', 'listed/file', 'secret/below/x']) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), path);
  }
  chmodSync(root, 0o755);
  // It may be listed, but nothing in it may be looked at.
  chmodSync(join(root, 'listed'), 0o744);
  chmodSync(join(root, 'secret'), 0o700);
  const mounts = new DiskMounts({ root, known: [], onChange: () => undefined });
  const disk = new Disk({ root, kind: 'folder', volume: exactVolume, mounts });
  const known = knows({
    ...{ '': [], gone: ['x'], listed: ['file', 'gone-perhaps'], 'listed/sub': ['x'], secret: ['y'], 'secret/below': ['x'] },
  });
  const skipped: string[] = [];
  const found: string[] = [];
  process.seteuid?.(65_534);
  try {
    const differences = disk.compare('', known, {
      ...{ areNewFoldersWhole: true, isConfirmed: false, epoch: () => 0, signal: new AbortController().signal },
      ...{
        onFolder: () => undefined,
        onSeen: () => undefined,
        onSkip: (path: string, reason: string) => skipped.push(`${path} ${reason}`),
      },
    });
    for await (const piece of differences) for (const { kind, entry } of piece) found.push(`${kind} ${entry.path}`);
  } finally {
    process.seteuid?.(0);
  }
  assert.deepEqual(skipped, ['listed/file unreadable', 'listed/sub unreadable', 'secret unreadable']);
  assert.deepEqual(found, ['update ', 'delete gone', 'update listed', 'delete listed/gone-perhaps']);
});
