import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fault } from '#kernel/fault.ts';
import { createLoginLimit, type LoginLimit, nameRule, originRule } from './login-limit.ts';

function setup(): { limit: LoginLimit; pass: (ms: number) => void; waitOf: (name: string, origin?: string) => number } {
  let nowMs = 1_000_000;
  const limit = createLoginLimit(() => nowMs);
  return {
    limit,
    pass: (ms) => {
      nowMs += ms;
    },
    /** Unit: milliseconds; 0 when the attempt was let through, which then counts as a failure. */
    waitOf: (name, origin = '') => {
      try {
        limit.begin(name, origin);
        return 0;
      } catch (error) {
        assert.ok(error instanceof Fault && error.code === 'resource_exhausted' && error.retryAfterMs !== undefined);
        return error.retryAfterMs;
      }
    },
  };
}

test('after the free failures each wait is twice the one before, up to the longest', () => {
  const { pass, waitOf } = setup();
  for (let attempt = 0; attempt < nameRule.freeCount; attempt++) assert.equal(waitOf('ann'), 0);
  for (let expected = nameRule.waitMs; expected < nameRule.waitMsMax; expected *= 2) {
    assert.equal(waitOf('ann'), expected);
    pass(expected - 1);
    assert.equal(waitOf('ann'), 1, 'a refused attempt does not prolong the wait');
    pass(1);
    assert.equal(waitOf('ann'), 0);
  }
  assert.equal(waitOf('ann'), nameRule.waitMsMax);
  assert.equal(waitOf('bob'), 0);
});

test('an origin that tries many names has to wait as well, others do not', () => {
  const { waitOf } = setup();
  for (let index = 0; index < originRule.freeCount; index++) assert.equal(waitOf(`name${index}`, '10.0.0.1'), 0);
  assert.equal(waitOf('another', '10.0.0.1'), originRule.waitMs);
  assert.equal(waitOf('another', '10.0.0.2'), 0);
  assert.equal(waitOf('yet-another'), 0);
});

test('all addresses of one IPv6 network count as one origin', () => {
  const { waitOf } = setup();
  for (let index = 0; index < originRule.freeCount; index++)
    assert.equal(waitOf(`name${index}`, `2001:db8:0:7:${index}::${index}`), 0);
  for (const origin of ['2001:db8:0:7::', '2001:db8::7:0:0:0:9', '2001:0DB8:0:7:1:2:3:4'])
    assert.ok(waitOf('another', origin) > 0, origin);
  for (const origin of ['2001:db8:0:8::1', '2001:db8::1', '::1']) assert.equal(waitOf('another', origin), 0, origin);
});

test('success clears the name but not the origin', () => {
  const { limit, waitOf } = setup();
  for (let index = 0; index < originRule.freeCount - 1; index++) waitOf(`name${index}`, '10.0.0.1');
  limit.begin('ann', '10.0.0.1').succeed();
  assert.equal(waitOf('ann', '10.0.0.1'), 0);
  assert.ok(waitOf('ann', '10.0.0.1') > 0);
});

test('what was not decided does not count', () => {
  const { limit, waitOf } = setup();
  for (let index = 0; index < 50; index++) limit.begin('ann', '10.0.0.1').undo();
  assert.equal(waitOf('ann', '10.0.0.1'), 0);
});

test('an hour without failures forgets them', () => {
  const { pass, waitOf } = setup();
  for (let index = 0; index < nameRule.freeCount; index++) waitOf('ann');
  pass(60 * 60 * 1000);
  for (let index = 0; index < nameRule.freeCount; index++) assert.equal(waitOf('ann'), 0);
  assert.ok(waitOf('ann') > 0);
});

test('however attempts are spread, guesses at one name are few', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 500 }), (gapsMs) => {
      const { pass, waitOf } = setup();
      let guesses = 0;
      let spentMs = 0;
      for (const gapMs of gapsMs) {
        pass(gapMs);
        spentMs += gapMs;
        if (waitOf('ann') === 0) guesses++;
      }
      // Five at once, nine while waits grow to the longest, then one each five minutes.
      assert.ok(guesses <= 5 + 9 + Math.ceil(spentMs / nameRule.waitMsMax) + 1, `${guesses} in ${spentMs} ms`);
    }),
  );
});

test('memory is bounded', () => {
  const { waitOf } = setup();
  for (let index = 0; index < 30_000; index++) waitOf(`name${index}`, `origin${index}`);
  for (let index = 0; index < nameRule.freeCount; index++) assert.equal(waitOf('name0'), 0);
});
