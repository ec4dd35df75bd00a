import { Fault, failedPrecondition } from '#kernel/fault.ts';

/**
 * The cases in which nothing is deleted until a person has decided; each is a `failed_precondition`. Details: `deletes` and `total` are numbers of
 * files and folders, `examples` the first paths that are gone, a line each.
 */

const reasons: readonly string[] = ['folder_missing', 'folder_empty', 'folder_other', 'deletes_unconfirmed', 'mount_away'];

/** A datasource's name and where its files lie, for people. */
export interface Subject {
  readonly datasource: string;
  readonly place: string;
}

export function isDecision(error: unknown): error is Fault {
  return error instanceof Fault && reasons.includes(error.reason);
}

/** The command that says: it is meant so. */
export function confirmCommand({ datasource }: Pick<Subject, 'datasource'>): string {
  return `cellar datasource resync ${shellWord(datasource)} --confirm-deletes`;
}

export function folderMissing(place: string, cause?: unknown): Fault {
  return failedPrecondition(`${place} is not there or cannot be read; is its disk mounted?`, {
    reason: 'folder_missing',
    hint: 'Bring the folder back; everything known of it is kept meanwhile.',
    cause,
  });
}

export function folderEmpty(subject: Subject, total: number): Fault {
  return failedPrecondition(`${subject.place} is empty, but ${total} files and folders are known in it; is its disk mounted?`, {
    reason: 'folder_empty',
    hint: `Mount the disk; or, when the folder is meant to be empty: ${confirmCommand(subject)}`,
    details: { deletes: String(total), total: String(total) },
  });
}

export function folderOther(subject: Subject, total: number): Fault {
  return failedPrecondition(
    `${subject.place} is another folder than before, and holds nothing of the ${total} files and folders known in it; is its disk mounted?`,
    {
      reason: 'folder_other',
      hint: `Mount the disk; or, when this is the folder that is meant: ${confirmCommand(subject)}`,
      details: { deletes: String(total), total: String(total) },
    },
  );
}

export function deletesUnconfirmed(subject: Subject, nodes: number, total: number, examples: readonly string[]): Fault {
  return failedPrecondition(
    `${nodes} of ${total} files and folders are gone from ${subject.place}; they are kept in the index until somebody confirms that`,
    {
      reason: 'deletes_unconfirmed',
      hint: `Check the folder; then, when they are meant to be gone: ${confirmCommand(subject)}`,
      details: { deletes: String(nodes), total: String(total), examples: examples.join('\n') },
    },
  );
}

export function mountAway(subject: Subject, paths: readonly string[]): Fault {
  const names = paths.map((path) => JSON.stringify(path)).join(', ');
  return failedPrecondition(
    `Another disk was mounted at ${names} in ${subject.place} and is not now; what is known of it is kept`,
    {
      reason: 'mount_away',
      hint: `Mount the disk; or, when it is meant to be away: ${confirmCommand(subject)}`,
      details: { examples: paths.join('\n') },
    },
  );
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
