import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { createEnrolments } from './enrolments.ts';
import { migrations } from './migrations.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

function suite(factory: DatabaseFactory, reason: string | false = false): void {
  test(`a host has one enrolment, the last one; ${factory.engine}`, { skip: reason }, async (t) => {
    const database = await factory.open(t);
    await migrate(database, migrations);
    const enrolments = createEnrolments(database);
    const enrolment = (host: string, fingerprint: string) => ({ host, fingerprint, enrolMs: 1_700_000_000_123, expireMs: 2 });
    for (const host of ['b', 'a-1', 'a']) await enrolments.put(enrolment(host, 'first'));
    await enrolments.put(enrolment('b', 'second'));
    assert.deepEqual(await enrolments.find('b'), enrolment('b', 'second'));
    const hosts = async (after: string, limit: number) => (await enrolments.list(after, limit)).map(({ host }) => host);
    assert.deepEqual([await hosts('', 2), await hosts('a-1', 2)], [['a', 'a-1'], ['b']]);
    await enrolments.remove('b');
    await enrolments.remove('b');
    assert.equal(await enrolments.find('b'), undefined);
  });
}

suite(sqliteFactory);
suite(postgresFactory(server), skip);
