import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startOrder } from '#kernel/services/start-order.ts';
import { loadDefinitions } from '#platform/catalogue.ts';
import { settingsSchema } from '#platform/schema.ts';
import { settingsReference } from '#platform/settings-reference.ts';
import { catalogue } from './catalogue.ts';

test('every entry is named as its service', async () => {
  for (const [name, load] of Object.entries(catalogue.services)) assert.equal((await load()).name, name);
});

test('services need each other in no circle, and nothing unknown', async () => {
  const definitions = await loadDefinitions(catalogue);
  startOrder(
    definitions,
    ({ name }) => name,
    ({ needs }) => needs,
  );
  const known = new Set([...definitions.map(({ name }) => name), 'cellar.grpc.settings', 'cellar.grpc.services']);
  for (const { name, needs } of definitions) {
    for (const need of needs) assert.ok(known.has(need), `${name} needs ${need}, which is not in the catalogue`);
  }
});

test('docs/settings.md is current', async () => {
  const page = settingsReference(settingsSchema(await loadDefinitions(catalogue)));
  const stored = await readFile(join(import.meta.dirname, '../docs/settings.md'), 'utf8').catch(() => '');
  assert.equal(stored, page, 'run scripts/settings-reference.ts');
});
