import { Fault, failedPrecondition } from '#kernel/fault.ts';

/** The cases in which nothing is deleted until a person has decided; each is a `failed_precondition`. */

const reasons: readonly string[] = ['folder_missing', 'folder_empty', 'folder_other', 'deletes_unconfirmed'];

export function isDecision(error: unknown): error is Fault {
  return error instanceof Fault && reasons.includes(error.reason);
}

export function folderMissing(root: string, cause?: unknown): Fault {
  return failedPrecondition(`${root} is not there or cannot be read; is its disk mounted?`, {
    reason: 'folder_missing',
    hint: 'Bring the folder back; everything known of it is kept meanwhile.',
    cause,
  });
}

export function folderEmpty(root: string, total: number): Fault {
  return failedPrecondition(`${root} is empty, but ${total} files and folders are known in it; is its disk mounted?`, {
    reason: 'folder_empty',
    hint: 'Mount the disk, or resync with --confirm-deletes when the folder is meant to be empty.',
  });
}

export function folderOther(root: string, total: number): Fault {
  return failedPrecondition(
    `${root} is another folder than before, and holds nothing of the ${total} files and folders known in it; is its disk mounted?`,
    { reason: 'folder_other', hint: 'Mount the disk, or resync with --confirm-deletes when this is the folder that is meant.' },
  );
}

export function deletesUnconfirmed(root: string, nodes: number, total: number): Fault {
  return failedPrecondition(
    `${nodes} of ${total} files and folders are gone from ${root}; they are kept in the index until somebody confirms that`,
    { reason: 'deletes_unconfirmed', hint: 'Check the folder, then resync with --confirm-deletes.' },
  );
}
