import { Lru } from '#lib/lru.ts';
import type { ObjectStore, StoreChange } from './store.ts';

/** A row takes about half a kilobyte. */
const rowsMax = 8192;

/**
 * A store whose rows of single objects are kept in memory as well, as they were last read; for the only process that changes them.
 * What a change touches is forgotten before it begins and when it has ended, whatever its end.
 */
export function rememberRows(store: ObjectStore): ObjectStore {
  let rows = new Lru<string, Awaited<ReturnType<ObjectStore['find']>>>(rowsMax);
  /** Grows with every beginning and end of a change: a row that was read across one may be older than it. */
  let turn = 0;

  const forget = (bucket: string, changes: readonly StoreChange[]): void => {
    turn++;
    const keys = changes.map(keyOf);
    if (keys.includes(undefined)) rows = new Lru(rowsMax);
    else for (const key of keys) rows.delete(`${bucket}/${key}`);
  };
  const around = async (bucket: string, changes: readonly StoreChange[], task: () => Promise<void>): Promise<void> => {
    forget(bucket, changes);
    try {
      await task();
    } finally {
      forget(bucket, changes);
    }
  };

  return {
    ...store,
    find(bucket, key, stamp) {
      const name = `${bucket}/${key}`;
      const known = rows.get(name);
      return known?.stamp === stamp ? Promise.resolve(known) : read(name, bucket, key, stamp);
    },
    write: (bucket, changes) => around(bucket, changes, () => store.write(bucket, changes)),
    removeBucket: (bucket) => around(bucket, [{ kind: 'clear' }], () => store.removeBucket(bucket)),
  };

  async function read(name: string, ...[bucket, key, stamp]: Parameters<ObjectStore['find']>) {
    const before = turn;
    const row = await store.find(bucket, key, stamp);
    if (row && turn === before) rows.set(name, row);
    return row;
  }
}

/** Whose row changes; `undefined`: those of several. What is not about rows of objects touches none: the empty key is nobody's. */
function keyOf(change: StoreChange): string | undefined {
  switch (change.kind) {
    case 'put':
      return change.row.key;
    case 'prune':
    case 'remove':
    case 'remove_state':
      return change.key;
    case 'remove_tree':
    case 'copy_tree':
    case 'clear':
      return undefined;
    default:
      return '';
  }
}
