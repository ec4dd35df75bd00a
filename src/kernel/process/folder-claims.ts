import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import { isHomeLocked, readServerInfo } from './lock.ts';

/**
 * Which home serves which folder, on this machine and by this account: two servers over one folder would each clear away what the other
 * writes. It is noted beside the folders and not in them, since a note on a disk that was copied or moved would be wrong.
 */
export interface FolderClaims {
  /**
   * Claims these folders, by a name of their own, and gives up all others. Result: by name, who has the folder already, in words. A folder
   * that is not there is not claimed.
   */
  take(folders: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>>>;
  release(): Promise<void>;
}

export function createFolderClaims(home: string): FolderClaims {
  let held = new Set<string>();
  const giveUp = async (notes: Iterable<string>): Promise<void> => {
    for (const note of notes) if ((await homeIn(note)) === home) await rm(note, { force: true });
  };
  return {
    async take(folders) {
      const place = await claimsFolder();
      const others: Record<string, string> = {};
      const taken = new Set<string>();
      for (const [name, folder] of Object.entries(folders)) {
        const holder = await holderOf(folder, home);
        const note = place && (await noteOf(place, folder));
        if (holder !== undefined) others[name] = holder;
        else if (note !== undefined) {
          await writeFile(`${note}.${process.pid}`, home);
          await rename(`${note}.${process.pid}`, note);
          taken.add(note);
        }
      }
      await giveUp(held.difference(taken));
      held = taken;
      return others;
    },
    async release() {
      await giveUp(held);
      held = new Set();
    },
  };
}

/** Who else serves a folder now, in words; undefined: nobody as far as is known. */
export async function holderOf(folder: string, home: string): Promise<string | undefined> {
  const place = await claimsFolder();
  const note = place && (await noteOf(place, folder));
  const other = note && (await homeIn(note));
  if (other === undefined || other === home || !isHomeLocked(other)) return undefined;
  const server = await readServerInfo(other);
  return `another Cellar serves it${server ? `, process ${server.pid}` : ''} with the home ${other}`;
}

/** Undefined: there is no place that only this account can write to. */
async function claimsFolder(): Promise<string | undefined> {
  const uid = process.getuid?.() ?? 0;
  const path = join(tmpdir(), `cellar-${uid}-folders`);
  try {
    await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      if (!isSystemError(error, 'EEXIST')) throw error;
    });
    const stats = await lstat(path);
    return stats.isDirectory() && stats.uid === uid && (stats.mode & 0o077) === 0 ? path : undefined;
  } catch {
    return undefined; // Claims are a help: where none can be made, nothing else fails for it.
  }
}

async function noteOf(place: string, folder: string): Promise<string | undefined> {
  try {
    return join(
      place,
      createHash('sha256')
        .update(await realpath(folder))
        .digest('hex')
        .slice(0, 32),
    );
  } catch {
    return undefined; // It is not there, or not ours to look at: whoever serves it says so.
  }
}

async function homeIn(note: string): Promise<string | undefined> {
  try {
    return await readFile(note, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
