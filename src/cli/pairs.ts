import { invalidArgument } from '#kernel/fault.ts';

/** `name=value` words by name. Errors: `invalid_argument` for one without a name or `=`, and for a name given twice. */
export function parsePairs(words: readonly string[] = [], what = 'parameter'): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw invalidArgument(`Cannot read the ${what} "${word}": it is not name=value`);
    const name = word.slice(0, at);
    if (pairs.has(name)) throw invalidArgument(`Cannot read "${word}": the ${what} ${name} was given before`);
    pairs.set(name, word.slice(at + 1));
  }
  return Object.fromEntries(pairs);
}

/** What a cluster is made of: `BLUEPRINT` or `BLUEPRINT,name=value,...`. Errors: `invalid_argument`. */
export function parseTemplate(text: string): { readonly blueprint: string; readonly parameters: Record<string, string> } {
  const [blueprint = '', ...words] = text.split(',');
  if (blueprint === '' || blueprint.includes('='))
    throw invalidArgument(`Cannot read "${text}": it does not begin with a blueprint`, {
      hint: 'Write BLUEPRINT,name=value, such as evm-dev,chainId=5.',
    });
  return { blueprint, parameters: parsePairs(words) };
}

/** For options that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
