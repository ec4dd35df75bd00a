/** Runs the benchmarks one after another: all, or those named (`npm run bench -- calls start`); then writes `docs/performance.md` from their results. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writePerformancePage } from './performance-page.ts';
import { isQuick } from './report.ts';

const all = [
  'calls',
  'rest',
  'streams',
  'policies',
  'index',
  'index-encodings',
  'sync',
  's3-get',
  's3-put',
  's3-stream',
  's3-list',
  'fleet',
  'start',
  'memory',
];
const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !existsSync(join(import.meta.dirname, `${name}.ts`)));
if (unknown.length > 0) {
  console.error(`Cannot run ${unknown.join(', ')}: there is no such benchmark. There are ${all.join(', ')}.`);
  process.exit(2);
}
const failed: string[] = [];
for (const name of chosen.length > 0 ? chosen : all) {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${name}.ts`)], { stdio: 'inherit' });
  if (status !== 0) failed.push(name);
}
if (!isQuick) writePerformancePage();
if (failed.length > 0) console.error(`Ended with an error: ${failed.join(', ')}`);
process.exit(failed.length > 0 ? 1 : 0);
