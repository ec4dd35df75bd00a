/** A pattern made ready: characters that stand for themselves, `anyText` and `anyCharacter`. */
export type Wildcard = readonly (string | typeof anyText | typeof anyCharacter)[];

/** `*`: any text, also none. */
export const anyText = Symbol('any text');
/** `?`: exactly one character. */
export const anyCharacter = Symbol('any character');

/** Reads a pattern in which `*` and `?` are wildcards. */
export const parseWildcard = (pattern: string): Wildcard =>
  Array.from(pattern.split(''), (character) => (character === '*' ? anyText : character === '?' ? anyCharacter : character));

/** Text that stands for itself, to be put into a pattern. */
export const literal = (text: string): Wildcard => text.split('');

/** True when the whole text has the form of the pattern. Takes at most the product of their lengths, whatever the pattern. */
export function matchesWildcard(pattern: Wildcard, text: string): boolean {
  let at = 0;
  let star = -1;
  let starAt = 0;
  for (let index = 0; index < text.length; ) {
    const token = pattern[at];
    if (token === anyText) {
      star = at++;
      starAt = index;
    } else if (token === anyCharacter || token === text[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      // The last `*` takes one character more; those before it need not be tried again.
      at = star + 1;
      index = ++starAt;
    } else return false;
  }
  while (pattern[at] === anyText) at++;
  return at === pattern.length;
}
