import { boolean, integer } from '#kernel/settings/setting.ts';

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
  snapshotsPerCluster: integer({ default: 5, min: 0, max: 1000, meaning: 'Snapshots of one cluster that are kept at a time.' }),
  snapshotSizeMaxMib: integer({
    default: 51_200,
    min: 1,
    max: 2 ** 40,
    unit: 'MiB',
    meaning: 'The most that one snapshot may take on disk; a larger one fails.',
  }),
  snapshotsSizeMaxMib: integer({
    default: 204_800,
    min: 1,
    max: 2 ** 40,
    unit: 'MiB',
    meaning: 'When all snapshots together take more than this on disk, none is taken.',
  }),
  webhooksToPrivate: boolean({
    default: false,
    meaning:
      'Whether webhooks may go to this machine and to local networks. Then whoever may add webhooks can have requests sent to what is there.',
  }),
  webhookSeconds: integer({
    default: 10,
    min: 1,
    max: 30,
    unit: 's',
    meaning: 'How long a receiver of a webhook may take to answer.',
  }),
  webhookHours: integer({
    default: 24,
    min: 1,
    max: 720,
    unit: 'hours',
    meaning:
      'For so long is tried to tell an event to a receiver that fails; then it is given up, and those behind it have their turn.',
  }),
  webhookDays: integer({
    default: 5,
    min: 1,
    max: 30,
    unit: 'days',
    meaning: 'A webhook whose receiver has failed for so long is disabled.',
  }),
  webhooksAtOnce: integer({
    default: 100,
    min: 1,
    max: 100,
    meaning: 'Receivers of webhooks that are told something at the same time.',
    needsRestart: true,
  }),
} as const;
