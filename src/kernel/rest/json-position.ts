/**
 * Where a text stops being JSON: line and column from 1, or undefined when it is JSON. For error messages: the parser of the
 * language gives the place of some mistakes only. Texts over 64 KiB are not looked at. Source: RFC 8259.
 */
export function jsonMistake(text: string): { line: number; column: number } | undefined {
  if (text.length > 65_536) return undefined;
  const token =
    /[ \t\n\r]*(?:([{}[\],:])|("(?:[ -!#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/y;
  // What may come next, and what encloses it.
  let expected: 'value' | 'first' | 'key' | 'firstKey' | 'colon' | 'next' = 'value';
  const open: string[] = [];
  while (true) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) return expected === 'next' && open.length === 0 && text.slice(at).trim() === '' ? undefined : place(text, at);
    const [, sign, string] = match;
    const isScalar = sign === undefined;
    const enclosing = open.at(-1);
    const closes = (sign === '}' && enclosing === '{') || (sign === ']' && enclosing === '[');
    if ((expected === 'value' || expected === 'first') && (isScalar || sign === '{' || sign === '[')) {
      if (!isScalar) open.push(sign);
      expected = isScalar ? 'next' : sign === '{' ? 'firstKey' : 'first';
    } else if ((expected === 'key' || expected === 'firstKey') && string) expected = 'colon';
    else if (expected === 'colon' && sign === ':') expected = 'value';
    else if (expected === 'next' && sign === ',' && enclosing) expected = enclosing === '{' ? 'key' : 'value';
    else if (closes && (expected === 'next' || expected === 'first' || expected === 'firstKey')) {
      open.pop();
      expected = 'next';
    } else return place(text, at);
  }
}

function place(text: string, at: number): { line: number; column: number } {
  const start = at + (/^[ \t\n\r]*/.exec(text.slice(at))?.[0].length ?? 0);
  const before = text.slice(0, start);
  const line = before.split('\n').length;
  return { line, column: start - before.lastIndexOf('\n') };
}
