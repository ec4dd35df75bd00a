import { invalidArgument } from '#kernel/fault.ts';

/** What marks a path as one of the server's. */
export const remotePrefix = 'cellar:';

/** One side of a copy. */
export type CopyPath =
  | { readonly kind: 'remote'; readonly path: string /** Written with a slash at its end. */; readonly isFolder: boolean }
  | { readonly kind: 'local'; readonly path: string; readonly isFolder: boolean }
  | { readonly kind: 'stream' };

/** Path of the server as its contracts have it, from `cellar:docs/a/`, `docs/a` or `/docs//a`. Errors: `invalid_argument`. */
export function parseRemotePath(text: string): string {
  const plain = text.startsWith(remotePrefix) ? text.slice(remotePrefix.length) : text;
  const segments = plain.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..') || plain.includes('\0')) {
    throw invalidArgument(`Cannot use the path "${text}": remote paths have no ".." and no zero bytes`);
  }
  return segments.join('/');
}

/** One side of `cellar cp`: remote with the prefix, `-` for a pipe, local else. */
export function parseCopyPath(text: string): CopyPath {
  if (text === '') throw invalidArgument('Cannot use an empty path');
  if (text === '-') return { kind: 'stream' };
  const isFolder = text.endsWith('/');
  if (text.startsWith(remotePrefix)) return { kind: 'remote', path: parseRemotePath(text), isFolder };
  return { kind: 'local', path: text, isFolder };
}

/** For people: `cellar:docs/a`. */
export function showRemote(path: string): string {
  return `${remotePrefix}${path}`;
}

export function joinRemote(folder: string, name: string): string {
  return folder === '' ? name : name === '' ? folder : `${folder}/${name}`;
}
