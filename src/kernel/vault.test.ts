import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fault } from './fault.ts';
import { temporaryFolder } from './testing/engines.ts';
import { createVault, openVault } from './vault.ts';

const isFault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

test('what was sealed opens, under its name only, and not when a bit is changed', () => {
  const vault = createVault(new Uint8Array(32).fill(7));
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.nat(), (secret, name, at) => {
      const sealed = vault.seal(secret, name);
      assert.equal(vault.open(sealed, name), secret);
      assert.throws(() => vault.open(sealed, `${name}x`), isFault('secret_unreadable'));
      const changed = Uint8Array.from(sealed);
      changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ 1;
      assert.throws(() => vault.open(changed, name), isFault('secret_unreadable'));
      assert.throws(() => vault.open(sealed.subarray(0, 10), name), isFault('secret_unreadable'));
    }),
  );
});

test('the master key is made once, for its owner only, and kept', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'master.key');
  const sealed = (await openVault(file, async () => false)).seal('secret', 'K');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(readFileSync(file).length, 32);
  assert.equal((await openVault(file, async () => true)).open(sealed, 'K'), 'secret');
});

test('a lost or damaged master key is said, not replaced', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'master.key');
  await assert.rejects(
    openVault(file, async () => true),
    isFault('master_key_missing'),
  );
  writeFileSync(file, 'short');
  await assert.rejects(
    openVault(file, async () => false),
    isFault('master_key_missing'),
  );
  assert.equal(readFileSync(file, 'utf8'), 'short');
  rmSync(file);
  await openVault(file, async () => false);
});
