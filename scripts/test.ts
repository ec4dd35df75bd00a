/**
 * Runs the tests and ends with one line: `N passed, N failed, N skipped`.
 *
 * `npm test` runs all; `npm test -- src/kernel` those below a path; `npm test -- --list` says which there are. With `CI` set a missing engine
 * is a failure; otherwise its tests are skipped and the reasons listed at the end, with the commands that would enable them.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
const chosen = args.filter((arg) => !arg.startsWith('-'));
const files = ['src', 'scripts', 'acceptance', 'bench']
  .flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }))
  .filter((file) => chosen.length === 0 || chosen.some((prefix) => file.startsWith(prefix)))
  .toSorted();

if (args.includes('--list')) {
  console.log(files.join('\n'));
  process.exit(0);
}
if (files.length === 0) {
  console.error(`Cannot test: no test file lies below ${chosen.join(', ')}.`);
  process.exit(2);
}

/** What one run of the test runner counted. */
interface Outcome {
  passed: number;
  failed: number;
  readonly skipped: string[];
  readonly failures: string[];
}

const outcome: Outcome = { passed: 0, failed: 0, skipped: [], failures: [] };
// Unit and service tests share the cores; the acceptance tests start whole platforms and go one after another.
const isAcceptance = (file: string): boolean => file.startsWith('acceptance/');
console.log(`Testing ${files.length} files.`);
await run(
  files.filter((file) => !isAcceptance(file)),
  3,
);
await run(files.filter(isAcceptance), 1);

for (const reason of new Set(outcome.skipped)) console.log(`skipped: ${reason}`);
for (const failure of outcome.failures) console.log(`failed: ${failure}`);
console.log(`${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped.length} skipped`);
process.exit(outcome.failed > 0 || outcome.passed === 0 ? 1 : 0);

async function run(paths: readonly string[], concurrency: number): Promise<void> {
  if (paths.length === 0) return;
  const child = spawn(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      '--test-timeout=300000',
      `--test-reporter=${join(root, 'scripts', 'test-reporter.ts')}`,
      ...paths,
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exit = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const before = outcome.failed;
  for await (const line of createInterface({ input: child.stdout })) {
    const record = line.startsWith('\u0001') ? (JSON.parse(line.slice(1)) as { kind: string; text: string }) : undefined;
    if (!record) console.log(line);
    else if (record.kind === 'pass') outcome.passed++;
    else if (record.kind === 'skip') outcome.skipped.push(record.text);
    else {
      outcome.failed++;
      outcome.failures.push(record.text);
    }
  }
  if ((await exit) !== 0 && outcome.failed === before) {
    outcome.failed++;
    outcome.failures.push('the test runner itself ended with an error; its messages are above');
  }
}
