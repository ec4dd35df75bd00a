import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaksConnection, isBusy, sqliteFault } from './sqlite-faults.ts';

const error = (errcode: number): Error => Object.assign(new Error('x'), { errcode });

test('result codes of SQLite, extended ones too, become faults', () => {
  const cases: readonly (readonly [number, string, string])[] = [
    [5, 'unavailable', 'database_busy'],
    [517, 'unavailable', 'database_busy'],
    [6, 'unavailable', 'database_busy'],
    [8, 'unavailable', 'database_read_only'],
    [10, 'unavailable', 'database_unreachable'],
    [522, 'unavailable', 'database_unreachable'],
    [14, 'unavailable', 'database_unreachable'],
    [13, 'resource_exhausted', 'disk_full'],
    [11, 'data_loss', 'database_corrupt'],
    [26, 'data_loss', 'database_corrupt'],
    [2067, 'already_exists', 'unique_violation'],
    [1555, 'already_exists', 'unique_violation'],
    [787, 'failed_precondition', 'foreign_key_violation'],
    [275, 'failed_precondition', 'constraint_violation'],
    [1, 'internal', 'internal'],
  ];
  for (const [code, expected, reason] of cases) {
    const fault = sqliteFault(error(code), '/data/x.db');
    assert.deepEqual([fault.code, fault.reason], [expected, reason], String(code));
  }
  assert.ok(isBusy(error(261)) && !isBusy(error(1)) && !isBusy(new Error('x')));
  assert.ok(breaksConnection(error(10)) && !breaksConnection(error(2067)));
});
