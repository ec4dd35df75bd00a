import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { firstLogin, removeFirstLogin, writeFirstLogin } from './first-login.ts';

test('the first login is shown once, to one of those who ask, and stays in a file for its owner', async () => {
  using home = temporaryFolder();
  assert.equal(await firstLogin(home.path), undefined);
  const login = { name: 'admin', password: 'abcde-fghij-kmnpq-rstuv' };
  await writeFirstLogin(home.path, login);
  const shown = await Promise.all([1, 2, 3].map(() => firstLogin(home.path)));
  assert.deepEqual(
    shown.filter((one) => one !== undefined),
    [login],
  );
  const file = join(home.path, 'first-login.txt');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await removeFirstLogin(home.path);
  assert.equal(existsSync(file), false);
  await removeFirstLogin(home.path);
});
