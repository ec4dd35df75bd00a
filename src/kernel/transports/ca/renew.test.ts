import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../log.ts';
import { temporaryFolder } from '../../testing/engines.ts';
import { ensureCa, issueCertificate } from './ca.ts';
import { keepRenewed } from './renew.ts';
import { TlsIdentity } from './tls.ts';

test('a certificate that is due is replaced, a failure is logged and tried again', async () => {
  using folder = temporaryFolder();
  const ca = await ensureCa(folder.path);
  const old = await issueCertificate(ca, { name: 'one', hosts: [] });
  const next = await issueCertificate(ca, { name: 'one', hosts: [] });
  const identity = new TlsIdentity(old);
  const renewed: string[] = [];
  identity.watch(({ cert }) => void renewed.push(cert));
  const lines: string[] = [];
  const stop = new AbortController();
  const answers = [old, new Error('the disk is full'), next, next];
  await keepRenewed(identity, {
    everyMs: 1,
    log: createLog({ level: 'info', write: (line) => void lines.push(line) }),
    signal: stop.signal,
    ensure: async () => {
      const answer = answers.shift();
      if (answers.length === 0) stop.abort();
      if (answer instanceof Error || !answer) throw answer;
      return answer;
    },
  });
  assert.deepEqual(renewed, [next.cert]);
  assert.equal(identity.material, next);
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? '', /could not be renewed.*the disk is full/);
  assert.ok(!lines.join('').includes('PRIVATE KEY'));
});
