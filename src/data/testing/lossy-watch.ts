import fs, { type FSWatcher } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Notifications of the file system, of which every so often one is lost, as when a queue of the kernel overflows unseen or a network share has none.
 * Import this file before those that watch folders.
 */
export const lossyWatch = {
  /** The part that is lost, from 0 to 1. */
  loss: 0,
  lost: 0,
};

type Listener = (kind: string, name: string | null) => void;
type Watch = (path: string, options: object, listener: Listener) => FSWatcher;

const original = fs.watch as unknown as Watch;
const lossy: Watch = (path, options, listener) =>
  original(path, options, (kind, name) => {
    if (Math.random() < lossyWatch.loss) lossyWatch.lost += 1;
    else listener(kind, name);
  });
Object.assign(fs, { watch: lossy });
syncBuiltinESMExports();
