/** The checks whose value for a whole follows from those of its parts. */
export type CombinableCrc = 'crc32' | 'crc32c' | 'crc64nvme';

/** Width in bits and the reflected polynomial. Source: the catalogue of parametrised CRC algorithms. */
const parameters: Readonly<Record<CombinableCrc, { readonly width: bigint; readonly polynomial: bigint }>> = {
  crc32: { width: 32n, polynomial: 0xedb88320n },
  crc32c: { width: 32n, polynomial: 0x82f63b78n },
  crc64nvme: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
};

export const isCombinableCrc = (word: string): word is CombinableCrc => Object.hasOwn(parameters, word);

/**
 * The check of several byte sequences one after another, from the check and length of each; none of the bytes is read.
 *
 * Digests are big-endian, as `createChecksum` gives them. Appending n bytes multiplies what was before by x^(8n) modulo the polynomial,
 * so a part costs one multiplication, and each different length some forty more.
 */
export function combineCrcs(
  algorithm: CombinableCrc,
  parts: readonly { readonly digest: Uint8Array; readonly sizeBytes: number }[],
): Buffer {
  const { width, polynomial } = parameters[algorithm];
  const one = 1n << (width - 1n);
  const shifts = new Map<number, bigint>();

  // Reflected: the highest bit stands for x^0.
  const multiply = (a: bigint, b: bigint): bigint => {
    let product = 0n;
    let shifted = b;
    for (let bit = one; bit > 0n; bit >>= 1n) {
      if (a & bit) product ^= shifted;
      shifted = shifted & 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
    }
    return product;
  };

  const shiftOf = (sizeBytes: number): bigint => {
    let shift = shifts.get(sizeBytes);
    if (shift === undefined) {
      shift = one;
      let square = one >> 8n;
      for (let rest = BigInt(sizeBytes); rest > 0n; rest >>= 1n) {
        if (rest & 1n) shift = multiply(shift, square);
        square = multiply(square, square);
      }
      shifts.set(sizeBytes, shift);
    }
    return shift;
  };

  let whole = 0n;
  for (const { digest, sizeBytes } of parts) {
    whole = multiply(whole, shiftOf(sizeBytes)) ^ BigInt(`0x${Buffer.from(digest).toString('hex')}`);
  }
  return Buffer.from(whole.toString(16).padStart(Number(width) / 4, '0'), 'hex');
}
