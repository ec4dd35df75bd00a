import { type Dir, lstatSync, type Stats, statSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { modifyTimeUs } from '#lib/file-etag.ts';
import { isSystemError } from '#lib/system-error.ts';
import { sortUtf8 } from '#lib/utf8-order.ts';
import type { TreeEntry } from './entry.ts';

/** Our own folder in the datasource's folder; it is no part of the tree. */
const privateFolder = '.cellar';

/** How many entries are looked at before others get their turn, about a millisecond's worth. */
const pieceSize = 256;

/** What is on the disk at a path. `unknown`: it cannot be told, and nothing may be concluded. */
export type Seen = TreeEntry | 'nothing' | 'unknown';

/** Links, devices and sockets are nothing: they are never followed or served. */
export function look(root: string, path: string): Seen {
  if (isPrivate(path)) return 'nothing';
  try {
    // The folder itself may be given by a link; below it none is followed.
    return toEntry(path, path === '' ? statSync(root) : lstatSync(join(root, path)));
  } catch (error) {
    return isMissing(error) ? 'nothing' : 'unknown';
  }
}

/** An entry of a walk. `isUnread`: what is there, or what is in it, could not be read; the index is not to be changed there. */
export type WalkedEntry = TreeEntry & { readonly isUnread?: true; readonly epoch: number };

export interface WalkOptions {
  /** Called before a folder is read, so that a watch set then misses nothing. */
  readonly onFolder: (path: string, inode: number) => void;
  readonly onSkip: (path: string, reason: string) => void;
  /** Noted with each entry when it is looked at. */
  readonly epoch: () => number;
  readonly signal: AbortSignal;
}

/**
 * Everything below a folder in tree order, in pieces. Memory: the names of the folders on the way down, nothing more.
 * Errors: the system's, when the folder itself cannot be read; others are skipped and told.
 */
export async function* walkDisk(root: string, folder: string, options: WalkOptions): AsyncGenerator<readonly WalkedEntry[]> {
  const { onFolder, onSkip, epoch, signal } = options;
  let piece: WalkedEntry[] = [];
  const top = look(root, folder);
  if (typeof top === 'object') onFolder(folder, top.inode);
  const stack = [{ path: folder, keys: await listFolder(root, folder), at: 0 }];
  for (let level = stack.at(-1); level; level = stack.at(-1)) {
    const key = level.keys[level.at++];
    if (key === undefined) {
      stack.pop();
      continue;
    }
    const isFolder = key.endsWith('/');
    const name = isFolder ? key.slice(0, -1) : key;
    const path = level.path === '' ? name : `${level.path}/${name}`;
    const seen = look(root, path);
    if (seen === 'nothing') {
      if (name.includes('\ufffd')) onSkip(path, 'its name is not UTF-8');
      continue;
    }
    if (seen === 'unknown') {
      onSkip(path, 'it cannot be read');
      piece.push({ path, isFolder, sizeBytes: 0, mtimeUs: 0, inode: 0, isUnread: true, epoch: epoch() });
      continue;
    }
    if (seen.isFolder) {
      onFolder(path, seen.inode);
      try {
        const keys = await listFolder(root, path);
        piece.push({ ...seen, epoch: epoch() });
        stack.push({ path, keys, at: 0 });
      } catch (error) {
        if (isMissing(error)) continue;
        onSkip(path, 'the folder cannot be read');
        piece.push({ ...seen, isUnread: true, epoch: epoch() });
      }
    } else {
      piece.push({ ...seen, epoch: epoch() });
    }
    if (piece.length < pieceSize) continue;
    yield piece;
    piece = [];
    await setImmediate();
    signal.throwIfAborted();
  }
  if (piece.length > 0) yield piece;
}

/** True when nothing of ours to serve is in the folder. Errors: the system's. */
export async function isEmptyFolder(root: string): Promise<boolean> {
  return (await listFolder(root, '')).length === 0;
}

/** Names of files and folders in tree order, folders with a slash. */
async function listFolder(root: string, path: string): Promise<string[]> {
  const keys: string[] = [];
  // Opening may wait for a slow disk and does so aside; the names then come in large pieces.
  const folder: Dir = await opendir(join(root, path), { bufferSize: 1024 });
  try {
    for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
      if (path === '' && entry.name === privateFolder) continue;
      if (entry.isDirectory()) keys.push(`${entry.name}/`);
      else if (entry.isFile()) keys.push(entry.name);
    }
  } finally {
    folder.closeSync();
  }
  return sortUtf8(keys);
}

function toEntry(path: string, stats: Stats): TreeEntry | 'nothing' {
  const isFolder = stats.isDirectory();
  if (!isFolder && !stats.isFile()) return 'nothing';
  return { path, isFolder, sizeBytes: isFolder ? 0 : stats.size, mtimeUs: modifyTimeUs(stats), inode: stats.ino };
}

export function isPrivate(path: string): boolean {
  return path === privateFolder || path.startsWith(`${privateFolder}/`);
}

export function isMissing(error: unknown): boolean {
  return isSystemError(error, 'ENOENT', 'ENOTDIR');
}
