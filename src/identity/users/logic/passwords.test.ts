import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPasswords } from './passwords.ts';

const weak = { memoryKib: 64, passes: 1, atOnceMax: 2 };
const passwords = createPasswords(weak);
const { signal } = new AbortController();

test('the right password is right, however its letters are composed, and no other', async () => {
  const stored = await passwords.hash('pass\u00e9word', signal);
  assert.match(stored, /^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
  assert.notEqual(await passwords.hash('pass\u00e9word', signal), stored);
  for (const [password, isRight] of [
    ['pass\u00e9word', true],
    ['passe\u0301word', true],
    ['passeword', false],
    ['', false],
  ] as const) {
    assert.equal((await passwords.check(password, stored, signal)).isRight, isRight, password);
  }
});

test('nothing is right when none is stored, or what is stored is damaged', async () => {
  for (const stored of ['', 'plain', '$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA']) {
    assert.equal((await passwords.check('plain', stored, signal)).isRight, false);
  }
});

test('hashes with smaller parameters still serve, and are said to be outdated', async () => {
  const stored = await passwords.hash('password', signal);
  for (const [options, isOutdated] of [
    [weak, false],
    [{ ...weak, memoryKib: 128 }, true],
    [{ ...weak, passes: 2 }, true],
    [{ ...weak, memoryKib: 32 }, false],
  ] as const) {
    assert.deepEqual(await createPasswords(options).check('password', stored, signal), { isRight: true, isOutdated });
  }
});

test('the main thread goes on while a password is checked', async () => {
  const strong = createPasswords({ memoryKib: 32_768, passes: 3, atOnceMax: 2 });
  let isDone = false;
  const hashing = strong.hash('password', signal).then(() => {
    isDone = true;
  });
  let turnsMeanwhile = 0;
  while (!isDone) {
    turnsMeanwhile++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await hashing;
  assert.ok(turnsMeanwhile > 10, `${turnsMeanwhile}`);
});
