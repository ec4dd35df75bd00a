import assert from 'node:assert/strict';
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { loginsPath, readLogins, readTokenFile, withLogin, withoutLogin, writeLogins } from './logins.ts';

test('logins are kept for this account only', async () => {
  using folder = temporaryFolder();
  const path = loginsPath({ XDG_CONFIG_HOME: folder.path });
  assert.deepEqual(await readLogins(path), { current: undefined, servers: {} });
  const logins = withLogin(await readLogins(path), 'http://a', { token: 'secret', name: 'ada' });
  await writeLogins(path, logins);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(join(path, '..')), ['logins.json']);
  assert.deepEqual(await readLogins(path), logins);
  await writeLogins(path, withoutLogin(logins, 'http://a'));
  assert.deepEqual(await readLogins(path), { current: undefined, servers: {} });
});

test('a file others may read, or that is damaged, is refused', async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, 'logins.json');
  for (const content of ['{', '[]', '{"servers":{"http://a":{}}}', '{"current":1,"servers":{}}']) {
    writeFileSync(path, content, { mode: 0o600 });
    await assert.rejects(readLogins(path), { code: 'failed_precondition' }, content);
  }
  writeFileSync(path, '{"servers":{}}');
  chmodSync(path, 0o644);
  await assert.rejects(readLogins(path), { hint: `chmod 600 ${path}` });
});

test('a token file holds one token', async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, 'token');
  writeFileSync(path, ' abc \n');
  assert.equal(await readTokenFile(path), 'abc');
  for (const content of ['', 'a b', 'x'.repeat(501)]) {
    writeFileSync(path, content);
    await assert.rejects(readTokenFile(path), { code: 'failed_precondition' });
  }
  await assert.rejects(readTokenFile(join(folder.path, 'none')), { code: 'not_found' });
});
