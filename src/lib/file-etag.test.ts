import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileEtag, modifyTimeUs } from './file-etag.ts';

test('both kinds of stats give the same time', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-etag-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'f');
  writeFileSync(path, '');
  for (const seconds of [0, 1, 1_000_000.123456, 1_700_000_000.999, 4_000_000_000.25, -5.5]) {
    utimesSync(path, seconds, seconds);
    assert.equal(
      modifyTimeUs(lstatSync(path, { bigint: true })),
      modifyTimeUs(lstatSync(path, { bigint: false })),
      String(seconds),
    );
  }
  for (let at = 0; at < 200; at++) {
    writeFileSync(path, String(at));
    assert.equal(modifyTimeUs(lstatSync(path, { bigint: true })), modifyTimeUs(lstatSync(path)));
  }
});

test('an etag changes with the state of the file', () => {
  const state = { sizeBytes: 1, mtimeUs: 2, inode: 3 };
  assert.match(fileEtag(state), /^[0-9a-f]{32}-0$/);
  assert.equal(fileEtag(state), fileEtag({ ...state, inode: 3n }));
  const others = [{ sizeBytes: 2 }, { mtimeUs: 3 }, { inode: 4 }].map((other) => fileEtag({ ...state, ...other }));
  assert.equal(new Set([fileEtag(state), ...others]).size, 4);
});

test('times that nanoseconds cannot hold are the nearest that they can', () => {
  assert.equal(modifyTimeUs({ mtimeMs: 1e16 }), 9_200_000_000_000_000);
  assert.equal(modifyTimeUs({ mtimeNs: -(10n ** 22n) }), -9_200_000_000_000_000);
  assert.equal(modifyTimeUs({ mtimeMs: -1.5 }), -1500);
});
