import { hash, randomBytes } from 'node:crypto';

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Letters and digits that are not mistaken for each other when read aloud or typed. */
const readable = 'abcdefghjkmnpqrstuvwxyz23456789';

/** `cellar_` and 190 random bits: recognisable to people and to scanners for leaked secrets. */
export const newToken = (): string => `cellar_${randomText(base62, 32)}`;

export const isToken = (text: string): boolean => /^cellar_[0-9A-Za-z]{32}$/.test(text);

/** What is kept of a token. */
export const hashToken = (token: string): string => hash('sha256', token);

export const newId = (): string => randomText(base62, 16);

/** 20 characters, as S3 tools expect. */
export const newAccessKey = (): string => `CELLAR${randomText(base32, 14)}`;

export const newSecretKey = (): string => randomText(base62, 40);

/** Four groups of five, 99 bits, such as `k7wmp-...`. */
export const newReadablePassword = (): string => Array.from({ length: 4 }, () => randomText(readable, 5)).join('-');

/** Each letter of the alphabet equally likely. */
function randomText(alphabet: string, length: number): string {
  const fair = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length * 2)) {
      if (byte < fair && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
