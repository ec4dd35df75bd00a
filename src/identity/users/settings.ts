import { integer } from '#kernel/settings/setting.ts';

/** Blocks of up to 32 MiB the C library keeps for later once they were freed, on every thread: over 100 MB that no idle process should hold. */
const memoryKibMin = 36_864;

export const settings = {
  sessionIdleMinutes: integer({
    default: 24 * 60,
    min: 5,
    max: 525_600,
    unit: 'minutes',
    meaning: 'A session that is not used for this long ends.',
    needsRestart: true,
  }),
  sessionDays: integer({
    default: 30,
    min: 1,
    max: 365,
    unit: 'days',
    meaning: 'A session ends this long after signing in, however much it is used.',
    needsRestart: true,
  }),
  passwordMemoryKib: integer({
    default: 47_104,
    min: memoryKibMin,
    max: 1_048_576,
    unit: 'KiB',
    meaning:
      'Memory that checking one password takes (argon2id). Passwords stored with less are stored anew at the next sign-in.',
    needsRestart: true,
  }),
  passwordPasses: integer({
    default: 1,
    min: 1,
    max: 20,
    meaning: 'Passes over that memory (argon2id).',
    needsRestart: true,
  }),
  passwordChecksAtOnce: integer({
    default: 2,
    min: 1,
    max: 64,
    meaning: 'How many passwords are checked at a time; others wait. Bounds the memory that signing in can take.',
    needsRestart: true,
  }),
};
