/** A folder row whose copy is to be made. */
export interface CopiedFolder {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly ownFiles: number;
  readonly ownBytes: number;
  readonly mtimeUs: number;
  readonly isRanked: number;
}

/** Folders whose files are copied by one statement. */
export const copiedAtOnce = 1000;

/** Parameters: first and last label. */
export const countBelow = 'select count(*) as count from folders where pos between $1 and $2';
export const selectBelow = `
  select id, parent, name, own_files as "ownFiles", own_bytes as "ownBytes", mtime_us as "mtimeUs", is_ranked as "isRanked"
  from folders where pos between $1 and $2 order by pos`;

/** For each folder of a subtree in tree order the place of the last that lies in it, itself when there is none. */
export function subtreeEnds(rows: readonly Pick<CopiedFolder, 'id' | 'parent'>[]): number[] {
  const ends = rows.map((_, at) => at);
  const places = new Map(rows.map(({ id }, at) => [id, at]));
  for (let at = rows.length - 1; at > 0; at--) {
    const parent = places.get((rows[at] as CopiedFolder).parent);
    if (parent !== undefined) ends[parent] = Math.max(ends[parent] as number, ends[at] as number);
  }
  return ends;
}
