import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '../context.ts';
import { createProgram } from '../program.ts';
import { escapeWord, splitLine } from './split-line.ts';
import { readLine } from './wanted.ts';

const context = new Context({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: {},
  signal: new AbortController().signal,
});
const program = await createProgram(undefined, context);

/** The first candidates, or what is to be looked up. */
function wanted(line: string): string {
  const found = readLine(program, splitLine(line).words).wanted;
  return found.kind === 'lookup' ? found.completion : found.candidates.map(({ value }) => value).join(' ');
}

test('what may stand at the cursor', () => {
  assert.match(wanted(''), / login logout .* help$/);
  assert.doesNotMatch(wanted(''), /__complete/);
  assert.equal(wanted('datasource '), 'add list show remove resync pause resume notify check snapshot');
  assert.equal(wanted('datasource remove '), 'datasource');
  assert.equal(wanted('datasource remove docs '), 'none');
  assert.equal(wanted('--home /x datasource rm '), 'datasource');
  assert.equal(wanted('--home '), 'local-path');
  assert.equal(wanted('ls --sort '), 'name size time');
  assert.equal(wanted('ls -l '), 'remote-path');
  assert.equal(wanted('cp a b '), 'path');
  assert.equal(wanted('ls -- --'), 'remote-path');
  assert.equal(wanted('completion '), 'bash zsh fish');
  assert.match(wanted('ls -'), /--long .*--json/);
  assert.equal(wanted('user password '), 'user');
  assert.equal(wanted('host fillup local '), 'blueprint');
  assert.equal(wanted('clusters --host '), 'host');
  assert.equal(wanted('start --host '), 'none');
  assert.equal(wanted('release '), 'claim');
  assert.equal(wanted('host add local --type '), 'process docker swarm kubernetes simulated');
});

test('options of every command are read', () => {
  const words = splitLine('ls --server=http://x --home /h --as ').words;
  assert.deepEqual(readLine(program, words).globals, { server: 'http://x', home: '/h' });
});

test('lines are split as shells do', () => {
  const cases: [string, string[], string][] = [
    ['cellar ls ', ['cellar', 'ls', ''], ''],
    ['cellar ls do', ['cellar', 'ls', 'do'], 'do'],
    ['cellar "a b" c\\ d', ['cellar', 'a b', 'c d'], 'c\\ d'],
    ["x 'it''s", ['x', 'its'], "'it''s"],
    ['x "a\\"b', ['x', 'a"b'], '"a\\"b'],
    ['', [''], ''],
  ];
  for (const [line, words, rawLast] of cases) assert.deepEqual(splitLine(line), { words, rawLast });
  for (const word of ["it's", 'a b', '$HOME', 'ä&ö', '`x`;#']) {
    assert.deepEqual(splitLine(`x ${escapeWord(word)}`).words, ['x', word]);
  }
});
