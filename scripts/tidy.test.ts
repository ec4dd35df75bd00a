import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

/** Rules about our own tree that no linter knows; each failure says which file and why. */

const root = join(import.meta.dirname, '..');
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);
const sources = tracked.filter((file) => file.endsWith('.ts') && !file.startsWith('src/gen/'));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** What may import what: a folder, and the folders it may reach. Left out means nothing of ours but itself and `gen`. */
const fences: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  kernel: ['lib'],
  s3: ['lib', 'kernel'],
  data: ['lib', 'kernel', 's3'],
  identity: ['lib', 'kernel'],
  fleet: ['lib', 'kernel'],
  platform: ['lib', 'kernel', 'data/plan'],
  gateways: ['lib', 'kernel', 's3', 'data/plan'],
  cli: ['lib', 'kernel', 'platform', 'catalogue', 'data/plan', 'identity/users/first-login'],
  // The one file that knows every service.
  catalogue: ['data', 'identity', 'fleet', 'platform', 'gateways', 'kernel'],
  // What a fork runs: as the command, without the command.
  fork: ['platform', 'catalogue'],
};

const isTestFile = (file: string): boolean => /\.(test|suite|fixture)\.ts$/.test(file) || file.includes('/testing/');

function importsOf(file: string): string[] {
  const text = read(file);
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map((match) => match[1] as string);
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith('#')) return [specifier.slice(1).replace(/\.ts$/, '')];
    if (specifier.startsWith('.'))
      return [
        join(file, '..', specifier)
          .replace(/^src\//, '')
          .replace(/\.ts$/, ''),
      ];
    return [];
  });
}

test('imports go one way', () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const match = /^src\/([^/.]+)/.exec(file);
    if (!match) continue;
    const area = match[1] as string;
    const isTest = isTestFile(file);
    for (const target of importsOf(file)) {
      const targetArea = target.split('/')[0] as string;
      if (targetArea === area || targetArea === 'gen' || target === 'package.json' || isTest) continue;
      const allowed = fences[area] ?? [];
      if (!allowed.some((fence) => target === fence || target.startsWith(`${fence}/`)))
        wrong.push(`${file} imports ${target}; ${area} may import ${allowed.join(', ') || 'nothing of ours'}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a service reaches another only through its contract', () => {
  const wrong: string[] = [];
  const serviceOf = (path: string): string | undefined =>
    /^(?:(?:data|identity|platform|gateways)\/[^/.]+|fleet\/(?:agents|control|relay))\//.exec(path)?.[0];
  for (const file of sources.filter((name) => name.startsWith('src/') && !isTestFile(name))) {
    const own = serviceOf(file.slice('src/'.length));
    if (!own) continue;
    for (const target of importsOf(file)) {
      const other = serviceOf(`${target}/`.replace(/\/$/, ''));
      if (other && other !== own) wrong.push(`${file} imports ${target}; use the contract of ${other}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a service is declared in a light main.ts', () => {
  const wrong: string[] = [];
  for (const file of sources.filter((name) => /^src\/(data|identity|platform|gateways)\/.*\/main\.ts$/.test(name))) {
    const text = read(file);
    if (!/await import\(['"]\.\/server\.ts['"]\)/.test(text))
      wrong.push(`${file} does not load ./server.ts in start; every process would carry its code`);
  }
  assert.deepEqual(wrong, []);
});

test('nothing is typed away, swallowed or waited for by the clock', () => {
  const rules: readonly (readonly [RegExp, string])[] = [
    [/: any(?=\s*[;,)\]|&={}]|$)|\bas any(?=[;,)\].]|$)|<any>|@ts-ignore|@ts-expect-error/, 'a type is given up'],
    [/catch\s*(\([^)]*\))?\s*\{\s*\}/, 'an error is swallowed'],
    [/\b(TODO|FIXME|XXX|HACK)\b/, 'unfinished work hides; say in the docs what is missing'],
    [/\b(enum|namespace)\s+[A-Z]\w*\s*\{/, 'Node does not run it'],
  ];
  const wrong: string[] = [];
  for (const file of sources.filter((name) => name !== 'scripts/tidy.test.ts')) {
    read(file)
      .split('\n')
      .forEach((line, index) => {
        for (const [pattern, why] of rules) if (pattern.test(line)) wrong.push(`${file}:${index + 1} ${why}: ${line.trim()}`);
      });
  }
  assert.deepEqual(wrong, []);
});

test('files that are read by people name no machine of ours', () => {
  const wrong: string[] = [];
  for (const file of tracked.filter(
    (name) =>
      !/^(src\/gen\/|package-lock\.json|LICENSE|bench\/results\/|scripts\/tidy\.test\.ts)/.test(name) &&
      /\.(ts|mjs|md|yaml|yml|json|proto|sh)$/.test(name),
  )) {
    if (/\/work\/|\/root\/|registry\.npmjs/.test(read(file))) wrong.push(file);
  }
  assert.deepEqual(wrong, []);
});
