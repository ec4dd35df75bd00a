import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseXml, writeXml, XmlError, xml } from './xml.ts';

test('text is escaped, control characters too', () => {
  const root = {
    name: 'A',
    attributes: { x: '"1"' },
    children: [xml('B', '<&>\'"\u0001\r\ufffe'), xml('C', undefined), false, xml('D', 3)] as const,
  };
  assert.equal(
    writeXml(root),
    '<?xml version="1.0" encoding="UTF-8"?>\n<A x="&quot;1&quot;"><B>&lt;&amp;&gt;&apos;&quot;&#x1;&#xd;&#xfffe;</B><D>3</D></A>',
  );
});

test('what was written is read again, spaces and control characters included', () => {
  for (const value of [' a b ', '<&>\'"', 'ü日本😀', 'a\u0001b\rc', '1.0', '', '&amp;']) {
    const root = parseXml(writeXml({ name: 'R', children: [xml('V', value)] }), 'R');
    assert.equal(root.value('V'), value);
  }
});

test('children come in order, also when there is only one', () => {
  const root = parseXml('<?xml version="1.0"?>\n<R xmlns="urn:x">\n <I><K>1</K></I>\n <I><K>2</K></I><K>3</K></R>', 'R');
  assert.deepEqual(
    root.all('I').map((item) => item.value('K')),
    ['1', '2'],
  );
  assert.equal(root.value('K'), '3');
  assert.equal(root.value('toString'), undefined);
});

test('what is not a plain document is refused', () => {
  const cases = [
    '',
    'text',
    '<R>',
    '<R></S>',
    '<S/>',
    '<!DOCTYPE R [<!ENTITY a "b">]><R>&a;</R>',
    '<R>&nbsp;</R>',
    '<R>&#x110000;</R>',
    '<R>& </R>',
    '<R>&#xD800;</R>',
    '<R><A>&who;</A></R>',
    '<R><!-- </R>',
    '<R><![CDATA[ </R>',
    `<R>${'<a/>'.repeat(300_000)}</R>`,
    `<R>${'<!--'.repeat(300_000)}</R>`,
    `<R>${'<![CDATA['.repeat(100_000)}</R>`,
    `<R>${'<a>'.repeat(100_000)}</R>`,
  ];
  // All at once: whoever reads a part later need not expect it.
  for (const text of cases) assert.throws(() => parseXml(text, 'R'), XmlError, text.slice(0, 80));
});

test('CDATA is text, comments are nothing', () => {
  const root = parseXml('<R><!-- & <a> --><V>1<![CDATA[a&b;<c>&amp;]]>2<!-- <![CDATA[ -->3</V><!-- ]]> --></R>', 'R');
  assert.equal(root.value('V'), '1a&b;<c>&amp;23');
});
