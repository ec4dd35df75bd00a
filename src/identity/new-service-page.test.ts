import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertPolicyText } from './policies-rest/logic/assert-policy-text.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/new-service.md'), 'utf8');
const blocks = Array.from(page.matchAll(/^```(\w+)(?: (\S+))?\n(.*?)^```$/gms), ([, language, path, text = '']) => ({
  language,
  path,
  text,
}));

/** Lines without their indentation, which a quote need not keep. */
const lines = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .join('\n');

test('what docs/new-service.md quotes is in the code', () => {
  const quotes = blocks.filter(({ path }) => path !== undefined);
  assert.ok(quotes.length > 10);
  const gone = quotes.filter(({ path = '', text }) => !lines(readFileSync(join(root, path), 'utf8')).includes(lines(text)));
  assert.deepEqual(gone, []);
});

test('the policies it shows are taken', async () => {
  const policies = blocks.filter(({ language }) => language === 'cedar');
  assert.ok(policies.length > 3);
  for (const { text } of policies) await assertPolicyText(text);
});
