import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRate, Rate, renderProgress } from './progress.ts';
import { width } from './table.ts';

test('a bar shows the share, and nothing it cannot know', () => {
  assert.equal(
    renderProgress('Copying', { done: 5, total: 10, text: 'half' }, 40),
    `Copying [${'='.repeat(7)}>${' '.repeat(7)}]  50%  half`,
  );
  assert.equal(renderProgress('Copying', { done: 5, text: '5 files' }, 60), 'Copying 5 files');
  assert.match(renderProgress('Copying', { done: 20, total: 10, text: '' }, 60), /100%/);
});

test('the line never wraps', () => {
  for (let columns = 10; columns < 100; columns += 7) {
    assert.ok(width(renderProgress('Copying', { done: 1, total: 3, text: 'x'.repeat(60) }, columns)) < columns);
  }
});

test('the rate is of the last seconds', () => {
  let now = 0;
  const rate = new Rate(() => now);
  now = 1000;
  assert.equal(rate.add(1000), 1000);
  for (let second = 2; second <= 20; second++) {
    now = second * 1000;
    rate.add(1000 + (second - 1) * 5000);
  }
  assert.ok(Math.abs(rate.add(1000 + 19 * 5000) - 5000) < 1);
  assert.equal(describeRate(1024 * 1024, 10 * 1024 * 1024), '1.0 MiB/s, 10 s left');
  assert.equal(describeRate(0, 5), '0 B/s');
});
