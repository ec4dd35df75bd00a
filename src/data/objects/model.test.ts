import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { besideReference } from './testing/beside-reference.ts';
import { stepsOf, type Verb } from './testing/commands.ts';

/*
 * Random requests, restarts and faults: the folder backend and the reference have to say the same after every step.
 *
 * `CELLAR_RANDOM_RUNS` says how many runs, `CELLAR_SEED` which; with `CELLAR_SHRINK` a failure prints the shortest steps that show it.
 */
const runs = Number(process.env['CELLAR_RANDOM_RUNS'] ?? 100);
const timeMsMax = process.env['CELLAR_RANDOM_RUNS'] ? 3_600_000 : 4_000;

const plainVerbs: readonly Verb[] = ['put', 'delete', 'copy', 'read', 'list', 'upload', 'part', 'complete', 'abort'];
const allVerbs: readonly Verb[] = [...plainVerbs, 'tag', 'versions', 'versioning'];
const plainKeys = ['a', 'a-', 'b.x', 'c/d', 'c/e', 'c/f/g', 'ä/ö', 'e f+%'];

/** No names of files, or not of files beside each other. */
const hardKeys = [
  'a',
  'a/b',
  'a/b/c',
  'b/',
  'b',
  'c/',
  'c/d',
  '..',
  '../a',
  '/',
  '/a',
  'd//e',
  './f',
  'g/.',
  'n'.repeat(300),
  '.cellar',
  '.cellar/tmp/a',
  'h\0',
];

async function check(t: TestContext, keys: readonly string[], verbs: readonly Verb[], hasVersions: boolean): Promise<void> {
  const next = await besideReference(t, { hasVersions });
  const property = fc.asyncProperty(stepsOf(keys, verbs, 30), async (steps) => {
    const pair = await next();
    for (const step of steps) await pair.take(step);
  });
  const seed = process.env['CELLAR_SEED'] ? { seed: Number(process.env['CELLAR_SEED']) } : {};
  await fc.assert(property, {
    numRuns: runs,
    endOnFailure: !process.env['CELLAR_SHRINK'],
    interruptAfterTimeLimit: timeMsMax,
    ...seed,
  });
}

test('plain keys in an unversioned bucket', (t) => check(t, plainKeys, plainVerbs, false));
test('keys that cannot be names of files', (t) => check(t, hardKeys, plainVerbs, false));
test('few keys with versions', (t) => check(t, ['a', 'b/c', 'b/d'], allVerbs, true));
test('all keys with versions', (t) => check(t, [...plainKeys, ...hardKeys], allVerbs, true));
