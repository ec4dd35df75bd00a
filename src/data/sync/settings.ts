import { integer } from '#kernel/settings/setting.ts';

export const settings = {
  askAboveDeletes: integer({
    default: 100,
    min: 0,
    max: 1_000_000_000,
    unit: 'entries',
    meaning: 'Deletions by other programs are applied without asking up to this many at once, whatever their share.',
  }),
  askAbovePercent: integer({
    default: 50,
    min: 0,
    max: 100,
    unit: 'percent',
    meaning: 'Above that number, deletions of more than this share of all entries wait until a person confirms them.',
  }),
  remotePassMinutes: integer({
    default: 15,
    min: 1,
    max: 525_600,
    unit: 'minutes',
    meaning:
      'Time between full passes over a bucket of another S3 server, whether or not it also tells what others change there.',
  }),
  fullPassMinutes: integer({
    default: 0,
    min: 0,
    max: 525_600,
    unit: 'minutes',
    meaning: 'Time between full passes; 0 makes one at every start and whenever notifications may have been missed.',
  }),
};
