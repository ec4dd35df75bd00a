import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { assertFolder } from './assert-folder.ts';

test('a folder that can be served, and what cannot', async () => {
  using folder = temporaryFolder();
  await assertFolder(folder.path);
  await assert.rejects(assertFolder(join(folder.path, 'gone')), /cannot be served: it does not exist/);
  await writeFile(join(folder.path, 'file'), '');
  await assert.rejects(assertFolder(join(folder.path, 'file')), /it is not a folder/);
});
