import { integer } from '#kernel/settings/setting.ts';

export const settings = {
  lookSeconds: integer({
    default: 5,
    min: 1,
    max: 3600,
    unit: 's',
    meaning: 'How often the watchdog looks at every host and cluster, whatever happened meanwhile.',
  }),
  buildsAtOnce: integer({
    default: 8,
    min: 1,
    max: 1000,
    meaning: 'Clusters that are worked on at the same time in the whole fleet.',
    needsRestart: true,
  }),
  buildsAtOncePerHost: integer({
    default: 2,
    min: 1,
    max: 1000,
    meaning: 'Clusters that are worked on at the same time on one host.',
    needsRestart: true,
  }),
  sickAtOnce: integer({
    default: 3,
    min: 0,
    max: 100_000,
    meaning: 'So many sick clusters of a host, or of the fleet, are repaired at once whatever their share.',
    needsRestart: true,
  }),
  sickPercent: integer({
    default: 40,
    min: 0,
    max: 100,
    unit: 'percent',
    meaning: 'Above that number nothing is rebuilt while more than this share is sick: the cause is rarely the clusters.',
    needsRestart: true,
  }),
  claimMinutes: integer({
    default: 480,
    min: 1,
    max: 525_600,
    unit: 'minutes',
    meaning: 'How long a claim lasts when its user says nothing; it can be renewed.',
  }),
  claimMinutesMax: integer({
    default: 10_080,
    min: 1,
    max: 5_256_000,
    unit: 'minutes',
    meaning: 'The longest a claim can last, however often it is renewed.',
  }),
  claimsPerUser: integer({ default: 5, min: 1, max: 1_000_000, meaning: 'Clusters one user may have at a time.' }),
} as const;
