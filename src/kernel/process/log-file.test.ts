import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogFile } from './log-file.ts';

test('keeps a bounded number of files of bounded size, the newest lines among them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cellar-log-'));
  const path = join(folder, 'cellar.log');
  const file = new LogFile({ path, sizeMaxBytes: 100, filesMax: 3, onProblem: assert.ifError });
  for (let number = 0; number < 100; number++) file.write(`line ${number}\n`);
  file.close();
  assert.deepEqual((await readdir(folder)).toSorted(), ['cellar.log', 'cellar.log.1', 'cellar.log.2']);
  const kept = (await Promise.all(['.2', '.1', ''].map((end) => readFile(`${path}${end}`, 'utf8')))).join('').trim().split('\n');
  assert.equal(kept.at(-1), 'line 99');
  const first = Number(kept[0]?.slice(5));
  assert.deepEqual(
    kept,
    Array.from({ length: 100 - first }, (_, index) => `line ${first + index}`),
  );
  await rm(folder, { recursive: true });
});

test('a disk that refuses lines is told of once, and does not throw', async () => {
  const problems: unknown[] = [];
  const file = new LogFile({
    path: '/nonexistent/folder/x.log',
    sizeMaxBytes: 100,
    filesMax: 2,
    onProblem: (error) => problems.push(error),
  });
  for (let number = 0; number < 5; number++) file.write('line\n');
  assert.equal(problems.length, 1);
});
