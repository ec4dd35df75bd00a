import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

test('docs/cli.md is what the command says of itself', () => {
  const script = join(import.meta.dirname, '..', '..', 'scripts', 'cli-reference.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 0, stderr);
});
