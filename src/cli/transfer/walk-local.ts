import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { joinRemote } from '../remote-path.ts';
import { systemFault } from '../system-fault.ts';
import type { Item } from './item.ts';

/**
 * A local file or folder and all below it, for the remote path `to`. Links to files are followed, links to folders are not, since they
 * may lead in circles.
 */
export async function* walkLocal(from: string, to: string, signal: AbortSignal): AsyncGenerator<Item> {
  signal.throwIfAborted();
  const found = await stat(from).catch((error) => {
    throw systemFault('read', from, error);
  });
  if (found.isFile()) yield { kind: 'file', from, to, size: found.size, modifyMs: found.mtimeMs };
  else if (found.isDirectory()) yield* walkFolder(from, to, signal);
  else yield { kind: 'skipped', from, why: 'neither a file nor a folder' };
}

async function* walkFolder(from: string, to: string, signal: AbortSignal): AsyncGenerator<Item> {
  const folder = await opendir(from).catch((error) => {
    throw systemFault('read', from, error);
  });
  yield { kind: 'folder', from, to };
  for await (const entry of folder) {
    signal.throwIfAborted();
    const path = join(from, entry.name);
    const target = joinRemote(to, entry.name);
    if (entry.isDirectory()) {
      try {
        yield* walkFolder(path, target, signal);
      } catch (error) {
        const fault = systemFault('read', path, error);
        if (fault.code === 'canceled') throw fault;
        yield { kind: 'skipped', from: path, why: fault.message };
      }
      continue;
    }
    const found = await stat(path).catch((error) => systemFault('read', path, error));
    if (found instanceof Error) yield { kind: 'skipped', from: path, why: found.message };
    else if (found.isFile()) yield { kind: 'file', from: path, to: target, size: found.size, modifyMs: found.mtimeMs };
    else yield { kind: 'skipped', from: path, why: found.isDirectory() ? 'a link to a folder' : 'neither a file nor a folder' };
  }
}
