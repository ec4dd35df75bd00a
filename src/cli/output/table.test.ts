import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStyle } from './style.ts';
import { formatFields, formatTable, printable, width } from './table.ts';

const plain = createStyle({}, {});
const columns = [
  { title: 'name', value: ({ name }: { name: string }) => name },
  { title: 'size', value: ({ name }: { name: string }) => String(name.length), isNumber: true },
];

test('columns are aligned, numbers to the right', () => {
  assert.equal(
    formatTable([{ name: 'a' }, { name: 'longer-name' }], columns, plain),
    ['NAME         SIZE', 'a               1', 'longer-name    11'].join('\n'),
  );
  assert.equal(formatTable([], columns, plain), '');
});

test('wide characters take two columns, marks none', () => {
  assert.equal(width('日本'), 4);
  assert.equal(width('e\u0301'), 1);
  assert.equal(width('😀'), 2);
  const lines = formatTable([{ name: '日本' }, { name: 'abcd' }], columns, plain).split('\n');
  assert.deepEqual(lines.slice(1).map(width), [10, 10]);
});

test('names cannot steer the terminal', () => {
  assert.equal(printable('a\u001b[2Jb\r\n\u009b\u202ec'), 'a?[2Jb????c');
  assert.doesNotMatch(formatTable([{ name: '\u001b]0;title\u0007' }], columns, plain), /\p{Cc}(?<!\n)/u);
  assert.equal(formatFields({ name: 'x\ny' }, plain), 'name  x?y');
});

test('painting does not change the alignment', () => {
  const colour = createStyle({ isTTY: true }, {});
  const painted = formatTable(
    [{ name: 'a' }, { name: 'bcd' }],
    [{ ...columns[0], paint: colour.blue }, columns[1]] as typeof columns,
    colour,
  );
  assert.ok(
    painted
      .split('\n')
      .slice(1)
      .every((line) => width(line) === 10),
  );
  assert.match(painted, /\[34ma.\[39m/);
});
