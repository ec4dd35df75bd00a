import assert from 'node:assert/strict';
import fs, { symlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { Fault } from '../fault.ts';
import { silentLog } from '../log.ts';
import { temporaryFolder } from '../testing/engines.ts';
import type { Database } from './database.ts';
import { openJournalSync } from './journal-sync.ts';
import { openDatabase } from './open.ts';

const isUnknown = (error: unknown): boolean => error instanceof Fault && error.reason === 'commit_unknown';

/** Holds back what is to go to the disk until told what becomes of it, at last when the test ends. */
function holdSyncs(t: TestContext): (error?: Error) => void {
  const waiting: ((error: Error | null) => void)[] = [];
  const { fdatasync } = fs;
  Object.assign(fs, { fdatasync: (_: number, done: (error: Error | null) => void) => waiting.push(done) });
  syncBuiltinESMExports();
  const release = (error?: Error): void => {
    for (const done of waiting.splice(0)) done(error ?? null);
  };
  t.after(() => {
    Object.assign(fs, { fdatasync });
    syncBuiltinESMExports();
    release();
  });
  return release;
}

interface Held {
  readonly database: Database;
  /** Has the disk end what it has to do now. */
  readonly release: (error?: Error) => void;
}

async function openHeld(t: TestContext, durable: boolean): Promise<Held> {
  const folder = temporaryFolder();
  const database = openDatabase({ url: `sqlite:${join(folder.path, 'new/folder/d.db')}`, name: 'd', log: silentLog, durable });
  await database.run('create table t (a bigint)');
  const release = holdSyncs(t);
  t.after(async () => {
    await database.close();
    folder[Symbol.dispose]();
  });
  return { database, release };
}

const add = (database: Database, value: number): Promise<unknown> =>
  database.transaction((tx) => tx.run('insert into t values ($1)', value), { group: true });

/** True once the database has committed so many rows, whoever has been told. */
async function isCommitted(database: Database, rows: number): Promise<void> {
  while ((await database.all('select a from t')).length < rows) await new Promise((done) => setImmediate(done));
}

test('a commit is answered when the disk has it; others go on meanwhile and share its next turn', async (t) => {
  const { database, release } = await openHeld(t, true);
  const answered: number[] = [];
  const answer = (value: number): Promise<unknown> => add(database, value).then(() => answered.push(value));
  const first = answer(1);
  await isCommitted(database, 1);
  const later = [answer(2), answer(3)];
  await isCommitted(database, 3);
  assert.deepEqual(answered, []);
  release();
  await first;
  assert.deepEqual(answered, [1]);
  release();
  await Promise.all(later);
  assert.deepEqual(answered, [1, 2, 3]);
});

test('a database that need not last waits for no disk', async (t) => {
  const { database } = await openHeld(t, false);
  await add(database, 1);
});

test('when the disk fails nobody is told of success until the journal was begun anew', async (t) => {
  const { database, release } = await openHeld(t, true);
  const first = assert.rejects(add(database, 1), isUnknown);
  await isCommitted(database, 1);
  const second = assert.rejects(add(database, 2), isUnknown);
  await isCommitted(database, 2);
  release(new Error('EIO'));
  // The disk would take the second now; the first before it is missing.
  await Promise.all([first, second]);
  const third = add(database, 3);
  await isCommitted(database, 3);
  release();
  await third;
  assert.deepEqual(
    (await database.all<{ a: number }>('select a from t')).map(({ a }) => a),
    [1, 2, 3],
  );
});

test('what is in the journal is there for who opens the file', async (t) => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'd.db');
  const db = new DatabaseSync(file);
  t.after(() => db.close());
  db.exec('pragma journal_mode = wal; create table t (a)');
  let failures = 0;
  const journal = openJournalSync(file, () => failures++);
  await Promise.all([journal.sync(), journal.sync(), journal.sync()]);
  journal.close();
  assert.equal(failures, 0);
});

test('a file that cannot be brought to a disk', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'd.db');
  writeFileSync(file, '');
  symlinkSync('/dev/null', `${file}-wal`);
  let failures = 0;
  const journal = openJournalSync(file, () => failures++);
  await assert.rejects(journal.sync(), isUnknown);
  await assert.rejects(journal.sync(), isUnknown);
  assert.ok(failures > 0);
  journal.close();
});
