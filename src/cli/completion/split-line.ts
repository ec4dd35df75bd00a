/**
 * The words of a shell line up to the cursor, without their quotes; the last one is the word being written, empty after a space.
 * `rawLast` is that word as it stands in the line.
 */
export function splitLine(line: string): { readonly words: readonly string[]; readonly rawLast: string } {
  const words: string[] = [];
  let word = '';
  let start = 0;
  let isInWord = false;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (!isInWord && !/\s/.test(char)) {
      isInWord = true;
      start = at;
      word = '';
    }
    if (quote === "'") {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === '\\' && at + 1 < line.length) {
      at++;
      word += line[at];
    } else if (quote === '"') {
      if (char === quote) quote = '';
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
    } else if (/\s/.test(char)) {
      if (isInWord) words.push(word);
      isInWord = false;
    } else {
      word += char;
    }
  }
  return isInWord ? { words: [...words, word], rawLast: line.slice(start) } : { words: [...words, ''], rawLast: '' };
}

/** A word as it is written in a shell line: with a backslash before what means something to the shell. */
export function escapeWord(word: string): string {
  return word.replace(/[^\p{L}\p{N}_@%+=:,./~-]/gu, (char) => (char === '\n' ? "$'\\n'" : `\\${char}`));
}
