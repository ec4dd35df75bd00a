/**
 * Orders two texts by the bytes of their UTF-8 forms, as S3 orders keys.
 *
 * JavaScript compares UTF-16 units, which differs only where a surrogate (a character beyond U+FFFF) meets U+E000..U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [unitA, unitB] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

/** Sorts in place by UTF-8 bytes; fast when no text has characters beyond U+FFFF. */
export function sortUtf8(texts: string[]): string[] {
  return texts.some((text) => /[\ud800-\udfff]/.test(text)) ? texts.sort(compareUtf8) : texts.sort();
}
