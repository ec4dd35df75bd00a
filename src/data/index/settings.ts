import { integer } from '#kernel/settings/setting.ts';

export const settings = {
  snapshotsKept: integer({
    default: 5,
    min: 1,
    max: 1000,
    unit: 'snapshots',
    meaning: 'How many snapshots of each index are kept; taking another removes the oldest beyond that.',
  }),
};
