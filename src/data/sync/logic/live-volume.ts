import { statSync } from 'node:fs';
import { join } from 'node:path';
import { probeVolume, type Volume } from '../../volume.ts';

export interface LiveVolume {
  /** Changes with its disk. */
  readonly volume: Volume;
  /** Tries it out again when another disk is there, or nothing could be found out before. */
  refresh(): void;
}

/** What a datasource's folder lies on: its disk may be mounted after our start, or be another than before. */
export function liveVolume(root: string): LiveVolume {
  const probe = (): Volume => probeVolume(join(root, '.cellar'));
  let device = deviceOf(root);
  const volume = { ...probe() };
  return {
    volume,
    refresh() {
      const now = deviceOf(root);
      if (now === undefined || (volume.isKnown && now === device)) return;
      device = now;
      Object.assign(volume, probe());
    },
  };
}

const deviceOf = (path: string): number | undefined => {
  try {
    return statSync(path).dev;
  } catch {
    return undefined; // It is away, and looked at again by the next pass.
  }
};
