import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImaginedFiles, imagineScript } from './imagine-script.ts';

const said = (text: string, afterMs = 0, isError = false) => ({ text, afterMs, isError });
const ends = (exitCode: number, afterMs = 0) => ({ exitCode, afterMs });

test('a script is imagined, not run', () => {
  const table: readonly [script: string, expected: Partial<ReturnType<typeof imagineScript>>][] = [
    ['exit 3', { end: ends(3), lines: [] }],
    ['echo "a; b" $COLOUR', { end: ends(0), lines: [said('a; b blue')] }],
    ['echo wrong >&2; exit 4; echo never', { end: ends(4), lines: [said('wrong', 0, true)] }],
    [
      'for i in 1 2; do echo n$i; sleep 0.5; done; echo last',
      { end: ends(0, 1000), lines: [said('n1'), said('n2', 500), said('last', 1000)] },
    ],
    ['trap "" TERM; while :; do sleep 1; done; echo never', { isStubborn: true, lines: [] }],
    ["trap 'exit 0' TERM; while :; do sleep 1; done", { isStubborn: false, lines: [] }],
    ['true; false', { end: ends(1) }],
    ['cat ./nothing', { end: ends(1), lines: [said('cat: /nothing: No such file or directory', 0, true)] }],
    ['sh -c "exit 5"', { end: ends(5) }],
    ['geth --dev; echo never', { notUnderstood: 'geth', lines: [] }],
  ];
  for (const [script, expected] of table) {
    const imagined = imagineScript(script, new Map(), { COLOUR: 'blue' });
    assert.deepEqual({ ...imagined, ...expected }, imagined, script);
    if (!expected.end) assert.equal(imagined.end, undefined, script);
  }
});

test('files are written, read and run', () => {
  const files: ImaginedFiles = new Map([['/bin/hello', { mode: '-rwxr-xr-x', text: '#!/bin/sh\necho hello' }]]);
  imagineScript('echo one >> ./data/log; echo two >> /data/log; echo x > /data/new; echo y > /data/new', files, {});
  assert.deepEqual([files.get('/data/log')?.text, files.get('/data/new')?.text], ['one\ntwo\n', 'y\n']);
  assert.deepEqual(
    imagineScript('./bin/hello; cat data/log', files, {}).lines.map(({ text }) => text),
    ['hello', 'one', 'two'],
  );
});
