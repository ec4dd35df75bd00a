import { invalidArgument } from '#kernel/fault.ts';

const pathBytesMax = 4096;
const nameBytesMax = 255;

/** A place in the tree: a datasource and a path in it; the empty `path` is the datasource itself. */
export interface Place {
  readonly datasource: string;
  readonly path: string;
}

/**
 * Reads a path such as `docs/reports/2026.pdf`. Result: `undefined` for the root.
 * Errors: `invalid_argument` with reason `invalid_path` that says which rule it breaks.
 */
export function parsePath(text: string): Place | undefined {
  if (text === '') return undefined;
  if (Buffer.byteLength(text) > pathBytesMax) throw invalidPath(text, `it is longer than ${pathBytesMax} bytes`);
  const names = text.split('/');
  for (const name of names) {
    if (name === '') throw invalidPath(text, 'it has an empty name: no slash at the start or end, and no two in a row');
    if (name === '.' || name === '..') throw invalidPath(text, `"${name}" is no name here`);
    if (name.includes('\0')) throw invalidPath(text, 'it has a NUL character');
    if (!name.isWellFormed()) throw invalidPath(text, 'it has half of a surrogate pair, which is no character');
    if (Buffer.byteLength(name) > nameBytesMax) throw invalidPath(text, `a name in it is longer than ${nameBytesMax} bytes`);
  }
  const [datasource = '', ...rest] = names;
  return { datasource, path: rest.join('/') };
}

export function formatPath({ datasource, path }: Place): string {
  return path === '' ? datasource : `${datasource}/${path}`;
}

function invalidPath(path: string, why: string): Error {
  const shown = path.length > 100 ? `${path.slice(0, 100)}...` : path;
  return invalidArgument(`Cannot use path ${JSON.stringify(shown)}: ${why}`, {
    reason: 'invalid_path',
    hint: 'A path is a datasource and names, joined by single slashes, such as "docs/reports/2026.pdf".',
  });
}
