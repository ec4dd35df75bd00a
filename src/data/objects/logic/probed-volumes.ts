import { join } from 'node:path';
import { probeVolume, type Volume } from '../../volume.ts';
import type { BucketFolder } from './bucket-folder.ts';
import { privateFolder } from './key-path.ts';

/** The number of a disk that is gone may be another's by then. */
const ageMsMax = 10_000;

/** Says what folders lie on. Buckets that are opened together mostly lie on one disk, which is tried out once. */
export function probedVolumes(now: () => number): (folder: BucketFolder) => Volume {
  const byDevice = new Map<bigint, { readonly volume: Volume; readonly atMs: number }>();
  return ({ root, device }) => {
    const known = byDevice.get(device);
    if (known && now() - known.atMs < ageMsMax) return known.volume;
    const volume = probeVolume(join(root, privateFolder));
    if (volume.isKnown) byDevice.set(device, { volume, atMs: now() });
    return volume;
  };
}
