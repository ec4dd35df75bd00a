import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { type Fault, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { holderOf } from '#kernel/process/folder-claims.ts';
import { ownPaths } from '#kernel/process/paths.ts';
import { type DatasourceSettings, planData } from '../../plan.ts';

/**
 * The folder as it is to be stored: absolute, without links on its way, so that one folder is never served under two names.
 *
 * `existing` is what is served already, by datasource, `home` is that of Cellar itself. Read-only folders are fine: they are served for reading.
 * Errors: `invalid_argument` for a relative path; `failed_precondition` that says why the folder cannot be served.
 */
export async function checkFolder(
  name: string,
  folder: string,
  existing: Readonly<Record<string, DatasourceSettings>>,
  home: string,
  kind: 'folder' | 'buckets' = 'folder',
): Promise<string> {
  if (!isAbsolute(folder)) {
    throw invalidArgument(`Cannot serve ${JSON.stringify(folder)}: it is not an absolute path`, {
      reason: 'folder_relative',
      hint: 'Give the whole path, beginning with a slash.',
    });
  }
  let path: string;
  let own: readonly string[];
  try {
    path = await realpath(resolve(folder));
    own = ownPaths(await realpath(home));
    if (!(await stat(path)).isDirectory())
      throw failedPrecondition(`Cannot serve ${folder}: it is not a folder`, { reason: 'not_a_folder' });
    await access(path, constants.R_OK | constants.X_OK);
  } catch (error) {
    throw folderFault(folder, error);
  }
  const problem = planData({ ...existing, [name]: { folder: path, kind } }, {}, own).problems[name];
  if (problem) {
    if (problem.startsWith('new buckets')) {
      throw failedPrecondition(`Cannot serve ${folder} as "${name}": ${problem}`, {
        reason: 'buckets_datasource_exists',
        hint: 'Serve it as a plain folder, or remove the other one first.',
      });
    }
    if (problem.startsWith('its name'))
      throw invalidArgument(`Cannot serve ${folder} as "${name}": ${problem}`, { reason: 'name_too_short' });
    throw failedPrecondition(`Cannot serve ${folder} as "${name}": ${problem}`, {
      reason: 'folder_overlaps',
      hint: 'Choose a folder that lies in no other datasource and has neither one nor the home of Cellar in it.',
    });
  }
  const holder = await holderOf(path, home);
  if (holder !== undefined)
    throw failedPrecondition(`Cannot serve ${folder} as "${name}": ${holder}`, {
      reason: 'folder_served',
      hint: 'Remove the datasource there, or stop that server: each would clear away what the other writes.',
    });
  return path;
}

function folderFault(folder: string, error: unknown): Fault | unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return failedPrecondition(`Cannot serve ${folder}: there is no such folder`, {
      reason: 'folder_missing',
      hint: 'Create it first.',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return failedPrecondition(`Cannot serve ${folder}: Cellar may not read it`, {
      reason: 'folder_unreadable',
      hint: 'Allow the user that runs Cellar to read the folder and to enter it.',
      cause: error,
    });
  }
  return error;
}
