/** Runs every check that needs no engine: types, lint and format, contracts, generated files. One line each; all are run, whatever fails. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { layOutIncludes } from './generate.ts';

const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** What to do when it fails. */
  readonly hint: string;
}

const checks: readonly Check[] = [
  { name: 'types', command: [bin('tsc'), '-p', '.'], hint: 'Mend the types above.' },
  {
    name: 'lint and format',
    command: [bin('biome'), 'check', '--error-on-warnings', '.'],
    hint: 'Run "npm run format"; mend by hand what it leaves.',
  },
  { name: 'contracts', command: [bin('buf'), 'lint'], hint: 'Mend the contracts above.' },
  ...breaking(),
  {
    name: 'generated code',
    command: [process.execPath, 'scripts/generate.ts', '--check'],
    hint: 'Run "npm run generate" and commit src/gen.',
  },
  {
    name: 'our own tree',
    command: [process.execPath, '--test', '--test-reporter=dot', 'scripts/tidy.test.ts'],
    hint: 'Run "npm test -- scripts" to see which file and why.',
  },
];

layOutIncludes();
let failed = 0;
for (const { name, command, hint } of checks) {
  const [program, ...args] = command;
  const startedMs = performance.now();
  const result = spawnSync(program as string, args, { cwd: root, encoding: 'utf8' });
  const isGood = result.status === 0;
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  if (isGood) continue;
  failed++;
  console.log(`${result.stdout}${result.stderr}`.trimEnd());
  console.log(`     ${hint}`);
}
process.exit(failed > 0 ? 1 : 0);

/** Contracts are compared with the last release tag; before the first one there is nothing to break. */
function breaking(): Check[] {
  const tag = spawnSync('git', ['describe', '--tags', '--abbrev=0', '--match', 'v*'], { cwd: root, encoding: 'utf8' });
  if (tag.status !== 0) return [];
  return [
    {
      name: `contracts against ${tag.stdout.trim()}`,
      command: [bin('buf'), 'breaking', 'proto', '--against', `.git#tag=${tag.stdout.trim()},subdir=proto`],
      hint: 'A contract may grow but not change; add a new field or method instead.',
    },
  ];
}
