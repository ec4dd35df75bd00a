import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { freePort } from '#kernel/testing/engines.ts';
import { connectEngine } from '../docker-engine/connect.ts';
import { dockerMissing, startDocker } from '../testing/docker-engines.ts';
import { createDockerDriver } from './driver.ts';

/** Keys and certificates of an authority, of an engine on loopback and of one who may use it, as `docker` wants them. */
function makeKeys(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('req', '-x509', ...newKey, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-subj', '/CN=test authority', '-days', '2');
  for (const [name, use] of Object.entries({ engine: 'serverAuth', client: 'clientAuth' })) {
    const prefix = name === 'client' ? '' : `${name}-`;
    run('req', ...newKey, '-keyout', `${prefix}key.pem`, '-out', 'request.pem', '-subj', `/CN=${name}`);
    writeFileSync(join(folder, 'more'), `subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=${use}\n`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'more'];
    run('x509', '-req', '-in', 'request.pem', '-out', `${prefix}cert.pem`, ...by);
  }
}

test('an engine elsewhere is reached by TLS, with the right keys only', { skip: dockerMissing() ?? false }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-tls-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [right, other] = [join(folder, 'right'), join(folder, 'other')];
  for (const keys of [right, other]) makeKeys(keys);
  const port = await freePort();
  const files = ['--tlscacert', 'ca.pem', '--tlscert', 'engine-cert.pem', '--tlskey', 'engine-key.pem'];
  const tls = files.map((word) => (word.startsWith('--') ? word : join(right, word)));
  await using _engine = await startDocker({ more: ['--host', `tcp://127.0.0.1:${port}`, '--tlsverify', ...tls] });
  const probe = async (credentials: string) => {
    const engine = await connectEngine(`tcp://127.0.0.1:${port}`, credentials, folder);
    return await createDockerDriver({ engine, host: 'far', fleet: 'own' }).probe(AbortSignal.timeout(30_000));
  };
  assert.equal((await probe('right')).type, 'docker');
  const reasonOf = async (credentials: string): Promise<string> =>
    await probe(credentials).then(
      () => 'none',
      (error: unknown) => Fault.from(error).reason,
    );
  assert.equal(await reasonOf('other'), 'engine_unreachable');
  for (const name of ['', 'nowhere', '../right']) assert.equal(await reasonOf(name), 'credentials_missing', name);
});
