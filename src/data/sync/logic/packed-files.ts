/** Files of one folder as one text: name, size, time and inode of each, with a slash between all parts. Two of them are compared as texts. */

/** What the index says of a folder's files, or of some of them. */
export interface PackedRun {
  readonly path: string;
  /** The folder's own time and inode; only in its first run. */
  readonly folder: { readonly mtimeUs: number; readonly inode: number } | undefined;
  readonly count: number;
  readonly files: string;
}

export interface PackedFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mtimeUs: number;
  readonly inode: number;
}

/** `isFirst`: it begins a text; others go on with one. */
export function packFile({ name, sizeBytes, mtimeUs, inode }: PackedFile, isFirst: boolean): string {
  return `${isFirst ? '' : '/'}${name}/${sizeBytes}/${mtimeUs}/${inodeText(inode)}`;
}

export function unpackFiles(files: string): PackedFile[] {
  if (files === '') return [];
  const parts = files.split('/');
  const unpacked: PackedFile[] = [];
  for (let at = 0; at + 3 < parts.length; at += 4) {
    unpacked.push({
      name: parts[at] as string,
      sizeBytes: Number(parts[at + 1]),
      mtimeUs: Number(parts[at + 2]),
      inode: readInode(parts[at + 3] as string),
    });
  }
  return unpacked;
}

/** The name of the last file; `undefined` when there is none. */
export function lastName(files: string): string | undefined {
  if (files === '') return undefined;
  let end = files.length;
  for (let part = 0; part < 3; part++) end = files.lastIndexOf('/', end - 1);
  return files.slice(files.lastIndexOf('/', end - 1) + 1, end);
}

/** Databases have signed integers: the same bits, as the index keeps them. */
function inodeText(inode: number): string {
  return Number.isSafeInteger(inode) ? String(inode) : String(BigInt.asIntN(64, BigInt(inode)));
}

function readInode(text: string): number {
  return text.length < 16 && !text.startsWith('-') ? Number(text) : Number(BigInt.asUintN(64, BigInt(text)));
}
