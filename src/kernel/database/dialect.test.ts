import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialect, isRead, sqlitePlaceholders } from './dialect.ts';

test('portable types become the engine’s own', () => {
  assert.equal(dialect('a {bytes}, b {text}', 'sqlite'), 'a blob, b text');
  assert.equal(dialect('a {bytes}, b {text}', 'postgres'), 'a bytea, b text collate "C"');
  assert.equal(dialect("check (a <> '{other}')", 'sqlite'), "check (a <> '{other}')");
});

test('placeholders change outside quotes and comments only', () => {
  assert.equal(sqlitePlaceholders('select $1, $12, $1'), 'select ?1, ?12, ?1');
  assert.equal(sqlitePlaceholders('select $1, $2'), 'select ?, ?');
  assert.equal(sqlitePlaceholders('select $2, $1'), 'select ?2, ?1');
  assert.equal(
    sqlitePlaceholders(`select '$1', "$2", 'it''s $3' -- $4\n, $5 /* $6 */`),
    `select '$1', "$2", 'it''s $3' -- $4\n, ?5 /* $6 */`,
  );
});

test('reads are told from writes', () => {
  for (const sql of [
    'select 1',
    '  -- why\n select 1',
    '/* a */ SELECT 1',
    'with t as (select 1) select * from t',
    'values (1)',
  ]) {
    assert.equal(isRead(sql), true, sql);
  }
  for (const sql of [
    'insert into t values (1)',
    'with t as (select 1) insert into u select * from t',
    'pragma user_version = 1',
    'delete from t',
  ]) {
    assert.equal(isRead(sql), false, sql);
  }
});
