import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberRows } from './remember-rows.ts';
import type { ObjectRow, ObjectStore, StoreChange } from './store.ts';

const row = (key: string, stamp: string, etag: string): ObjectRow => ({
  ...{ key, stamp, etag, kind: 'object', headers: {}, checksums: {} },
});

/** A store of one row, whose answers come when they are let go. */
function heldStore(first: ObjectRow) {
  const state = { row: first, reads: 0, gate: Promise.resolve() };
  const store = {
    async find(_bucket: string, key: string, stamp: string) {
      state.reads++;
      const { row: found } = state;
      await state.gate;
      return found.key === key && found.stamp === stamp ? found : undefined;
    },
    async write(_bucket: string, changes: readonly StoreChange[]) {
      await state.gate;
      for (const change of changes) if (change.kind === 'put') state.row = change.row;
    },
  };
  return { state, store: rememberRows(store as Partial<ObjectStore> as ObjectStore) };
}

test('a row is read once, and again after any change that may concern it', async () => {
  const { state, store } = heldStore(row('a', '1', 'first'));
  assert.equal((await store.find('b', 'a', '1'))?.etag, 'first');
  assert.equal((await store.find('b', 'a', '1'))?.etag, 'first');
  assert.equal(state.reads, 1);
  assert.equal(await store.find('b', 'a', '2'), undefined, 'of another state it says nothing');
  assert.equal(await store.find('other', 'a', '9'), undefined, 'nor of another bucket');
  const changes: readonly StoreChange[] = [
    { kind: 'put', row: row('a', '1', 'second') },
    { kind: 'prune', key: 'a', stamp: '1' },
    { kind: 'remove_state', key: 'a', stamp: '9' },
    { kind: 'remove_tree', prefix: 'x/' },
    { kind: 'clear' },
  ];
  for (const change of changes) {
    await store.find('b', 'a', '1');
    const { reads } = state;
    await store.write('b', [change]);
    assert.equal((await store.find('b', 'a', '1'))?.etag, 'second', change.kind);
    assert.equal(state.reads, reads + 1, change.kind);
  }
  const { reads } = state;
  await store.write('b', [{ kind: 'remove', key: 'z' }]);
  await store.find('b', 'a', '1');
  assert.equal(state.reads, reads, 'what is about others changes nothing');
});

test('a row that was read while it changed is not remembered', async () => {
  const { state, store } = heldStore(row('a', '1', 'old'));
  const { promise, resolve } = Promise.withResolvers<void>();
  state.gate = promise;
  const early = store.find('b', 'a', '1');
  const written = store.write('b', [{ kind: 'put', row: row('a', '1', 'new') }]);
  const during = store.find('b', 'a', '1');
  resolve();
  assert.equal((await early)?.etag, 'old');
  await during;
  await written;
  assert.equal((await store.find('b', 'a', '1'))?.etag, 'new');
});
