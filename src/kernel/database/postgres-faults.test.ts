import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresFault } from './postgres-faults.ts';

const error = (code: string): Error => Object.assign(new Error('x'), { code });

test('errors of PostgreSQL and of the network become faults', () => {
  const cases: readonly (readonly [Error, string, string])[] = [
    [error('57P01'), 'unavailable', 'database_unreachable'],
    [error('57P03'), 'unavailable', 'database_unreachable'],
    [error('08006'), 'unavailable', 'database_unreachable'],
    [error('53300'), 'unavailable', 'database_unreachable'],
    [error('ECONNREFUSED'), 'unavailable', 'database_unreachable'],
    [error('ECONNRESET'), 'unavailable', 'database_unreachable'],
    [new AggregateError([error('ECONNREFUSED'), error('ECONNREFUSED')], ''), 'unavailable', 'database_unreachable'],
    [new Error('Connection terminated unexpectedly'), 'unavailable', 'database_unreachable'],
    [new Error('timeout exceeded when trying to connect'), 'unavailable', 'database_unreachable'],
    [error('28P01'), 'unavailable', 'database_login_refused'],
    [error('25006'), 'unavailable', 'database_read_only'],
    [error('53100'), 'resource_exhausted', 'disk_full'],
    [error('23505'), 'already_exists', 'unique_violation'],
    [error('23503'), 'failed_precondition', 'foreign_key_violation'],
    [error('23514'), 'failed_precondition', 'constraint_violation'],
    [error('40001'), 'aborted', 'transaction_conflict'],
    [error('40P01'), 'aborted', 'transaction_conflict'],
    [error('57014'), 'deadline_exceeded', 'statement_timeout'],
    [error('XX001'), 'data_loss', 'database_corrupt'],
    [error('42P01'), 'internal', 'internal'],
    [new Error('anything'), 'internal', 'internal'],
  ];
  for (const [thrown, code, reason] of cases) {
    const fault = postgresFault(thrown, 'test');
    assert.deepEqual([fault.code, fault.reason], [code, reason], thrown.message);
    assert.equal(fault.cause, thrown);
    assert.doesNotMatch(fault.message, /x$/);
  }
});
