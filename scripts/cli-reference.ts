// Writes docs/cli.md from the command tree; with --check only says whether it is current.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Context } from '#cli/context.ts';
import { createProgram } from '#cli/program.ts';
import { cliReference } from '#cli/reference.ts';

const path = join(import.meta.dirname, '..', 'docs', 'cli.md');
const context = new Context({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: {},
  signal: new AbortController().signal,
});
const text = cliReference(await createProgram(undefined, context));
if (!process.argv.includes('--check')) {
  writeFileSync(path, text);
  console.log('Wrote docs/cli.md.');
} else if (readFileSync(path, 'utf8') !== text) {
  console.error('docs/cli.md is not current. Run: node scripts/run.mjs scripts/cli-reference.ts');
  process.exit(1);
}
