import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relay } from './relay.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('what work tells comes in order, and the stream ends with the work', async () => {
  const told = relay<number>(async (tell) => {
    tell(1);
    await turn();
    tell(2);
    tell(3);
    await turn();
  });
  assert.deepEqual(await Array.fromAsync(told), [1, 2, 3]);
  assert.deepEqual(await Array.fromAsync(relay(async () => undefined)), []);
});

test('an error of the work comes after what it told', async () => {
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const value of relay<number>(async (tell) => {
      tell(1);
      await turn();
      throw new Error('broken');
    }))
      seen.push(value);
  }, /broken/);
  assert.deepEqual(seen, [1]);
});

test('a reader that stops early waits for the work', async () => {
  let isDone = false;
  for await (const _ of relay<number>(async (tell) => {
    tell(1);
    await turn();
    isDone = true;
  }))
    break;
  assert.ok(isDone);
});
