import { isSystemError } from '#lib/system-error.ts';

/** True when nothing is there, as when it went away between listing and looking. */
export function isMissing(error: unknown): boolean {
  return isSystemError(error, 'ENOENT', 'ENOTDIR');
}
