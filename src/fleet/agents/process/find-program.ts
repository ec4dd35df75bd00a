import { access, constants } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { failedPrecondition } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';

const require = createRequire(import.meta.url);

/**
 * The first of these programs that is installed, as an absolute path.
 *
 * Shape: an absolute path, a name on the PATH, or `package:<npm package>/<file>`, where `{platform}` and `{arch}` stand for this machine's
 * (`linux`, `amd64` or `arm64`). Errors: `failed_precondition` with reason `program_missing`.
 */
export async function findProgram(candidates: readonly string[]): Promise<string> {
  for (const candidate of candidates) {
    for (const path of pathsOf(candidate)) if (await isExecutable(path)) return path;
  }
  throw failedPrecondition(`None of these programs is installed: ${candidates.join(', ')}`, {
    reason: 'program_missing',
    hint: 'Install it on the host, or choose a host with Docker.',
  });
}

function pathsOf(candidate: string): readonly string[] {
  if (isAbsolute(candidate)) return [candidate];
  if (!candidate.startsWith('package:'))
    return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, candidate));
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = candidate.slice('package:'.length).replaceAll('{platform}', process.platform).replaceAll('{arch}', arch);
  const [, owner = '', file = ''] = /^((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(name) ?? [];
  try {
    return [join(dirname(require.resolve(`${owner}/package.json`)), file)];
  } catch (error) {
    if (isSystemError(error) || (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) return [];
    throw error;
  }
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return false;
    throw error;
  }
}
