/** Paths in a tree: names with slashes between them and none at the ends; the empty path is the root. */

/** The path of the folder something lies in; the root's is the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** True when `path` is `folder` or lies in it. */
export function isWithin(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

/** The path of a name in a folder. */
export function inFolder(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** The innermost folder that all paths lie in. */
export function commonFolder(paths: Iterable<string>): string {
  let folder: string | undefined;
  for (const path of paths) {
    folder ??= parentOf(path);
    while (folder !== '' && !path.startsWith(`${folder}/`)) folder = parentOf(folder);
    if (folder === '') return '';
  }
  return folder ?? '';
}
