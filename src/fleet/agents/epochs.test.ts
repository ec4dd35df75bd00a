import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import type { Micro } from '#kernel/services/service.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { createRemoteDriver } from '../driver/remote-driver.ts';
import { fleetAgent } from './main.ts';
import { shellMember } from './testing/shell-member.ts';

test('from the first question of a watchdog on, whoever was before it changes nothing; users go on', async (t) => {
  const platform = await startTestPlatform([{ definition: fleetAgent, instance: '', plan: undefined }]);
  t.after(() => platform.stop());
  const client: Micro['client'] = (desc, { service = '' } = {}) =>
    platform.client(desc, serviceCaller('cellar.grpc.fleet.control'), service);
  const engine = { host: 'h', type: 'simulated', address: '', credentials: '', fleet: 'f' } as const;
  const [first, second] = [1, 2].map((epoch) => createRemoteDriver({ client }, engine, () => epoch));
  assert.ok(first && second);
  const signal = AbortSignal.timeout(30_000);
  const ref = { cluster: 'c', incarnation: 1 };
  await first.create(ref, [shellMember('one', '', 'while :; do sleep 1; done')], {}, signal);
  assert.equal((await second.observe('c', signal)).members.length, 1);
  const isRefused = (error: unknown): boolean => error instanceof Fault && error.reason === 'epoch_passed';
  await assert.rejects(first.stop(ref, ['one'], signal), isRefused);
  await assert.rejects(first.remove(ref, signal), isRefused);
  assert.equal((await first.observe('c', signal)).members[0]?.state, 'running');
  assert.equal((await first.exec(ref, 'one', ['true'], signal)).exitCode, 0);
  assert.equal(await second.remove(ref, signal), 1);
});
