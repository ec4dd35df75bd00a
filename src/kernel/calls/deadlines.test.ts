import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadlines } from './deadlines.ts';

test('deadlines come in their order, whatever the order they were set in; those deleted never', async () => {
  const deadlines = new Deadlines();
  const seen: number[] = [];
  const startMs = performance.now();
  // Far enough apart for a machine that pauses between two of them.
  const all = [300, 100, 200, 150].map(
    (ms) =>
      new Promise<void>((resolve) => {
        deadlines.add(ms, () => {
          seen.push(ms);
          assert.ok(performance.now() - startMs >= ms);
          resolve();
        });
      }),
  );
  deadlines.delete(deadlines.add(5, () => seen.push(5)));
  await Promise.all(all);
  assert.deepEqual(seen, [100, 150, 200, 300]);
});

test('what is late may set the next deadline', async () => {
  const deadlines = new Deadlines();
  await new Promise<void>((resolve) => deadlines.add(1, () => deadlines.add(1, resolve)));
});

test('a process ends while only a deleted deadline is left, not while one is waited for', async () => {
  const { spawnSync } = await import('node:child_process');
  const run = (code: string): string =>
    spawnSync(
      process.execPath,
      ['--input-type=module', '-e', `import { deadlines } from '${import.meta.dirname}/deadlines.ts'; ${code}`],
      {
        encoding: 'utf8',
        timeout: 10_000,
      },
    ).stdout;
  assert.equal(
    run(`deadlines.delete(deadlines.add(60_000, () => {})); process.on('exit', () => console.log('ended'))`),
    'ended\n',
  );
  assert.equal(
    run(
      `deadlines.delete(deadlines.add(60_000, () => {})); deadlines.add(61_000, () => {}); deadlines.add(20, () => { console.log('late'); process.exit() })`,
    ),
    'late\n',
  );
});
