import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { type Fault, unavailable } from '#kernel/fault.ts';

/** Errors: `unavailable` when the folder is not there to be read, as when its disk is away. */
export async function assertFolder(folder: string): Promise<void> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(folder)).isDirectory();
    if (isFolder) await access(folder, constants.R_OK | constants.X_OK);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw away(folder, code === 'ENOENT' ? 'it does not exist' : code === 'EACCES' ? 'it may not be read' : message, cause);
  }
  if (!isFolder) throw away(folder, 'it is not a folder');
}

function away(folder: string, why: string, cause?: unknown): Fault {
  return unavailable(`The folder ${folder} cannot be served: ${why}`, {
    reason: 'folder_away',
    hint: 'Nothing is forgotten meanwhile; it is served again when it is back.',
    cause,
  });
}
