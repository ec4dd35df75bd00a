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
    const renewed = (fingerprint: string, enrolMs: number) => ({ host: 'b', fingerprint, enrolMs, expireMs: 9, isTaken: false });
    const second = enrolment('b', 'second');
    assert.equal(await enrolments.renew(enrolment('b', 'first'), renewed('lost', 1)), false, 'it is another one by now');
    for (let at = 1; at <= 10; at++) assert.equal(await enrolments.renew(second, renewed(`new-${at}`, at)), true);
    await enrolments.taken(renewed('new-9', 9));
    const renewals = await enrolments.renewals('b');
    assert.deepEqual([renewals.length, renewals[0]?.fingerprint, renewals[1]?.isTaken], [8, 'new-10', true]);
    assert.deepEqual(await enrolments.find('b'), second, 'the one before counts until the agent has come with another');
    await enrolments.promote(renewed('new-1', 1));
    assert.deepEqual(await enrolments.find('b'), second, 'one that is gone does not come back');
    await enrolments.promote(renewed('new-9', 9));
    assert.equal((await enrolments.find('b'))?.fingerprint, 'new-9');
    assert.deepEqual(await enrolments.renewals('b'), []);
    await enrolments.renew(enrolment('b', 'new-9'), renewed('again', 20));
    await enrolments.remove('b');
    await enrolments.remove('b');
    assert.deepEqual([await enrolments.find('b'), await enrolments.renewals('b')], [undefined, []]);
  });
}

suite(sqliteFactory);
suite(postgresFactory(server), skip);
