import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRemoteHints, type RemoteHints } from './remote-hints.ts';

const remote = { bucket: 'photos', prefix: 'in/' };

async function start(plan: Parameters<typeof createRemoteHints>[0]['plan'] = { datasource: 'away', remote }) {
  const kept: { hash?: string | undefined } = {};
  const changed: string[] = [];
  const open = (): Promise<RemoteHints> =>
    createRemoteHints({
      plan,
      store: {
        notificationHash: async () => kept.hash,
        setNotificationHash: async (hash) => void Object.assign(kept, { hash }),
      },
      metrics: { counter: () => ({ add: () => undefined }) },
      now: () => 1000,
      changed: (path) => changed.push(path),
    });
  return { kept, changed, open, hints: await open() };
}

test('keys become paths below the prefix; what is not ours is counted', async () => {
  const { hints, changed } = await start();
  const token = await hints.createToken();
  const take = (...keys: string[]) => {
    changed.length = 0;
    const { taken } = hints.take(
      token,
      keys.map((key) => ({ bucket: 'photos', key })),
    );
    assert.equal(hints.limit, '');
    return [taken, ...changed];
  };
  assert.deepEqual(take('in/a.txt', 'in%2Fb/c.txt'), [2, 'a.txt', 'b/c.txt']);
  // Encoded or not: nothing says which.
  assert.deepEqual(take('in/a+b'), [1, 'a b', 'a+b']);
  assert.deepEqual(take('in/100%'), [1, '100%']);
  assert.deepEqual(take('in/caf%C3%A9/'), [1, 'café', 'caf%C3%A9']);
  assert.deepEqual(take('out/a', 'in/', 'in', 'in/../x', 'in//x', 'in/\0'), [0]);
  assert.deepEqual(hints.take(token, [{ bucket: 'other', key: 'in/a' }]), { taken: 0, ignored: 1 });
  assert.deepEqual(hints.seen, { lastMs: 1000, taken: 5, ignored: 7 });
});

test('only the token made last is taken, also after a restart, and only its hash is kept', async () => {
  const { hints, kept, open } = await start();
  const unknown = { code: 'unauthenticated' };
  assert.throws(() => hints.take('', []), unknown);
  assert.deepEqual([hints.seen, hints.limit.includes('does not tell')], [undefined, true]);
  const first = await hints.createToken();
  assert.match(hints.limit, /told nothing/);
  assert.deepEqual(hints.take(first, []), { taken: 0, ignored: 0 });
  const second = await hints.createToken();
  assert.throws(() => hints.take(first, []), unknown);
  assert.ok(!JSON.stringify(kept).includes(second));
  const again = await open();
  again.take(second, []);
  for (const wrong of [`${second}x`, second.slice(1), kept.hash ?? '', '\ud800'])
    assert.throws(() => again.take(wrong, []), unknown);
  await again.deleteToken();
  assert.throws(() => again.take(second, []), unknown);
});

test('a folder has no token', async () => {
  const { hints } = await start({ datasource: 'docs' });
  await assert.rejects(hints.createToken(), { reason: 'not_remote' });
  assert.throws(() => hints.take('x', []), { code: 'unauthenticated' });
});
