import { integer } from '#kernel/settings/setting.ts';

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
    default: 19_456,
    min: 8192,
    max: 1_048_576,
    unit: 'KiB',
    meaning:
      'Memory that checking one password takes (argon2id). Passwords stored with less are stored anew at the next sign-in.',
    needsRestart: true,
  }),
  passwordPasses: integer({
    default: 2,
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
