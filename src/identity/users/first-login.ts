import { readFile, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSecretFile } from '#kernel/secret-file.ts';
import { isSystemError } from '#lib/system-error.ts';

/** The name and password made at the first start. */
export interface FirstLogin {
  readonly name: string;
  readonly password: string;
}

const fileOf = (home: string): string => join(home, 'first-login.txt');
/** Exists until the start command has shown the password. */
const markerOf = (home: string): string => join(home, '.first-login-unseen');

/**
 * The first login, once: for `cellar start` to print after the first start. Later calls, also of other processes, get undefined.
 * The file itself stays until the password is changed.
 */
export async function firstLogin(home: string): Promise<FirstLogin | undefined> {
  try {
    await unlink(markerOf(home)); // Only one caller can: that one shows it.
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
  const text = await readFile(fileOf(home), 'utf8').catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  });
  const name = /^name: +(\S+)$/m.exec(text)?.[1];
  const password = /^password: +(\S+)$/m.exec(text)?.[1];
  return name && password ? { name, password } : undefined;
}

export async function writeFirstLogin(home: string, { name, password }: FirstLogin): Promise<void> {
  const text = [
    'The first administrator of this Cellar. Change the password after signing in; this file is then removed.',
    '',
    `name:     ${name}`,
    `password: ${password}`,
    '',
  ].join('\n');
  await writeSecretFile(fileOf(home), text);
  await writeSecretFile(markerOf(home), '');
}

export async function removeFirstLogin(home: string): Promise<void> {
  await rm(fileOf(home), { force: true });
  await rm(markerOf(home), { force: true });
}
