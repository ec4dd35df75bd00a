import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Puppet } from '#gen/cellar/testing/v1/puppet_pb.ts';
import { createAudit } from './audit.ts';
import { type Caller, serviceCaller } from './calls/caller.ts';
import { createClient } from './calls/client.ts';
import { createDirectChannel } from './calls/direct.ts';
import { Dispatcher, implement } from './calls/dispatcher.ts';
import { Endpoint } from './calls/endpoint.ts';
import { unavailable } from './fault.ts';
import { silentLog } from './log.ts';

const ada: Caller = { id: 'u1', name: 'ada', roles: [Role.USER], scopes: ['*'], via: 'cellar.gateway.web' };

async function withAudit(
  use: (act: (verb: string, caller: Caller) => Promise<unknown>) => Promise<void>,
): Promise<Record<string, unknown>[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cellar-audit-'));
  const path = join(folder, 'audit.log');
  const audit = createAudit({ path, log: silentLog, now: () => 0 });
  const endpoint = new Endpoint();
  const puppet = implement(Puppet, {
    act: async ({ verb }) => {
      if (verb === 'fail') throw unavailable('no', { reason: 'tired' });
      return { answer: verb };
    },
  });
  endpoint.add(new Dispatcher([puppet], { service: 'cellar.grpc.puppet', log: silentLog, observe: audit.observe }));
  const channel = createDirectChannel(endpoint);
  const client = createClient(Puppet, { route: () => ({ channel, service: '' }) });
  await use((verb, caller) => client.act({ verb, argument: 'secret' }, { caller }));
  await audit.close();
  const text = await readFile(path, 'utf8').catch(() => '');
  await rm(folder, { recursive: true });
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('who did what, by which way, with the fields meant for it and no others', async () => {
  const [line] = await withAudit(async (act) => {
    await act('dance', ada);
  });
  const { trace, durationMs, ...rest } = line ?? {};
  assert.match(String(trace), /^[0-9a-f]{32}$/);
  assert.equal(typeof durationMs, 'number');
  assert.deepEqual(rest, {
    time: '1970-01-01T00:00:00.000Z',
    caller: 'u1',
    name: 'ada',
    via: 'cellar.gateway.web',
    service: 'cellar.grpc.puppet',
    method: 'cellar.testing.v1.Puppet/Act',
    fields: { verb: 'dance' },
    code: 'ok',
  });
});

test('failures and refusals are noted, services minding their own business are not', async () => {
  const lines = await withAudit(async (act) => {
    await act('fail', ada).catch(() => undefined);
    await act('dance', { ...ada, scopes: [] }).catch(() => undefined);
    await act('dance', serviceCaller('cellar.grpc.data.sync.docs'));
  });
  assert.deepEqual(
    lines.map(({ code, reason }) => `${code} ${reason}`),
    ['unavailable tired', 'permission_denied scope_missing'],
  );
});

test('nothing is lost when many come at once', async () => {
  const lines = await withAudit(async (act) => {
    await Promise.all(Array.from({ length: 5000 }, () => act('dance', ada)));
  });
  assert.equal(lines.length, 5000);
});
