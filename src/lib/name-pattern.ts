/** Says whether a whole name fits. */
export type NameMatcher = (name: string) => boolean;

type Part = '*' | ((character: string) => boolean);

/**
 * A pattern for whole names: `*` stands for any characters, `?` for one, `[a-z_]` and `[!a-z_]` for one of a set or one that is not; a backslash
 * takes the next one as it is. A bracket that is not closed stands for itself. Takes time in proportion to pattern and name, whatever both are.
 */
export function namePattern(pattern: string, options: { readonly ignoreCase?: boolean } = {}): NameMatcher {
  const fold = options.ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const parts = parse([...fold(pattern)]);
  return (name) => matches(parts, [...fold(name)]);
}

function parse(characters: readonly string[]): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] as string;
    if (character === '*') {
      if (parts.at(-1) !== '*') parts.push('*');
    } else if (character === '?') {
      parts.push(() => true);
    } else if (character === '[') {
      const end = characters.indexOf(']', at + (characters[at + 1] === '!' ? 3 : 2));
      if (end < 0) {
        parts.push((other) => other === '[');
        continue;
      }
      parts.push(oneOf(characters.slice(at + 1, end)));
      at = end;
    } else {
      const own = character === '\\' ? (characters[++at] ?? '\\') : character;
      parts.push((other) => other === own);
    }
  }
  return parts;
}

function oneOf(set: readonly string[]): (character: string) => boolean {
  const isNegated = set[0] === '!';
  const members = isNegated ? set.slice(1) : set;
  const tests: ((code: number) => boolean)[] = [];
  for (let at = 0; at < members.length; at++) {
    const low = codeOf(members[at]);
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    const high = isRange ? codeOf(members[at + 2]) : low;
    tests.push((code) => code >= low && code <= high);
    if (isRange) at += 2;
  }
  return (character) => tests.some((test) => test(codeOf(character))) !== isNegated;
}

function codeOf(character: string | undefined): number {
  return character?.codePointAt(0) ?? -1;
}

/** A star takes as little as it can; when the rest does not fit, only the last star has to take more. */
function matches(parts: readonly Part[], name: readonly string[]): boolean {
  let [part, at] = [0, 0];
  let star: { readonly part: number; at: number } | undefined;
  while (at < name.length) {
    const own = parts[part];
    if (own === '*') {
      star = { part, at };
      part += 1;
    } else if (own?.(name[at] as string)) {
      part += 1;
      at += 1;
    } else if (star) {
      star.at += 1;
      at = star.at;
      part = star.part + 1;
    } else {
      return false;
    }
  }
  return parts.slice(part).every((rest) => rest === '*');
}
