import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockHome } from '#kernel/process/lock.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { ensureCa, issueBundle } from '#kernel/transports/ca/ca.ts';
import { catalogue } from '../catalogue.ts';
import { runAgent } from './run-agent.ts';

test('an agent that cannot serve says why at once, and keeps no hold of its home', async () => {
  using folder = temporaryFolder();
  const bundle = join(folder.path, 'bundle.pem');
  const home = join(folder.path, 'home');
  const ca = await ensureCa(join(folder.path, 'ca'));
  const good = await issueBundle(ca, { name: 'far', hosts: [], uses: ['client'] });
  const old = { days: 1, nowMs: Date.now() - 3 * 86_400_000 };
  const expired = await issueBundle(ca, { name: 'far', hosts: [], uses: ['client'], ...old });
  const signal = new AbortController().signal;
  const run = (platform = '127.0.0.1:1') =>
    runAgent({ home, catalogue, service: 'cellar.grpc.fleet.agent', platform, bundle, environment: {}, signal });

  await assert.rejects(run(), { code: 'failed_precondition', message: /Cannot read the bundle/, hint: /agent enrol/ });
  await writeFile(bundle, good.slice(0, 400));
  await assert.rejects(run(), { code: 'invalid_argument' });
  await writeFile(bundle, expired);
  await assert.rejects(run(), { reason: 'certificate_expired', message: /has expired on \d{4}-/ });
  await writeFile(bundle, good);
  for (const platform of ['', 'far', 'far:0', ':7072', 'far:99999'])
    await assert.rejects(run(platform), { code: 'invalid_argument', message: `Cannot dial "${platform}"` });
  const lock = await lockHome(home);
  await assert.rejects(run(), { reason: 'already_running' });
  await lock.release();
});
