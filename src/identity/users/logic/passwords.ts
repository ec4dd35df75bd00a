import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { formatPhc, type PasswordHash, parsePhc } from './phc.ts';
import { createTurns } from './turns.ts';

/** Hashes and checks passwords with argon2id, off the main thread, a few at a time. */
export interface Passwords {
  /** Result: a PHC string. Errors: as `Turns`. */
  hash(password: string, signal: AbortSignal): Promise<string>;
  /**
   * `stored` is empty when there is none: the check then takes as long and says no.
   * `isOutdated`: right, but stored with smaller parameters than today's.
   */
  check(
    password: string,
    stored: string,
    signal: AbortSignal,
  ): Promise<{ readonly isRight: boolean; readonly isOutdated: boolean }>;
}

export interface PasswordOptions {
  /** Unit: KiB. */
  readonly memoryKib: number;
  readonly passes: number;
  readonly atOnceMax: number;
}

const hashBytes = 32;
const saltBytes = 16;
const waitingMax = 100;
const derive = promisify(argon2);

export function createPasswords({ memoryKib, passes, atOnceMax }: PasswordOptions): Passwords {
  const turns = createTurns({ atOnceMax, waitingMax, what: 'check a password' });
  const now = { memoryKib, passes, parallelism: 1 };
  const fill = (password: string, { salt, ...parameters }: Omit<PasswordHash, 'hash'>, signal: AbortSignal): Promise<Buffer> =>
    turns.run(
      () =>
        derive('argon2id', {
          // Typed on different keyboards the same word can arrive as different code points (RFC 8265).
          message: password.normalize('NFC'),
          nonce: salt,
          memory: parameters.memoryKib,
          passes: parameters.passes,
          parallelism: parameters.parallelism,
          tagLength: hashBytes,
        }),
      signal,
    );
  return {
    async hash(password, signal) {
      const salt = randomBytes(saltBytes);
      return formatPhc({ ...now, salt, hash: await fill(password, { ...now, salt }, signal) });
    },
    async check(password, stored, signal) {
      const known = parsePhc(stored);
      const against = known ?? { ...now, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) };
      const hash = await fill(password, against, signal);
      const isSame = hash.length === against.hash.length && timingSafeEqual(hash, against.hash);
      const isOutdated = against.memoryKib < memoryKib || against.passes < passes;
      return { isRight: known !== undefined && isSame, isOutdated };
    },
  };
}
