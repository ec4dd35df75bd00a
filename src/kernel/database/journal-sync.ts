import { closeSync, fdatasync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Code, Fault } from '../fault.ts';
import { syncFolder } from '../sync-folder.ts';

/** What SQLite has written to the journal beside a database file, brought to the disk while the process goes on. */
export interface JournalSync {
  /**
   * Resolves when all that was committed before the call is on the disk. All who ask while the disk is busy share its next turn. Errors:
   * `unavailable` with reason `commit_unknown`, from then on for everybody: the disk may lack something in the middle.
   */
  sync(): Promise<void>;
  /** Lets go of the file as soon as the disk has ended its turn. */
  close(): void;
}

/**
 * Of the database at `file`, which has a journal already. `onFailure` is called once, when the disk fails.
 *
 * SQLite does the same with `synchronous = full`, but has the whole process wait meanwhile, for each commit. Its own syncs remain: a
 * checkpoint brings the journal to the disk before it takes pages from it, and the pages before the journal begins anew. So a commit is in the one
 * or the other.
 */
export function openJournalSync(file: string, onFailure: () => void): JournalSync {
  const journal = openSync(`${file}-wal`, 'r');
  let isNamed = false;
  let isClosed = false;
  let failure: Fault | undefined;
  let current: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function turn(): Promise<void> {
    try {
      if (failure) throw failure;
      await promisify(fdatasync)(journal);
      if (!isNamed) await syncFolder(dirname(file));
      isNamed = true;
    } catch (error) {
      failure ??= commitUnknown(file, error);
      onFailure();
      throw failure;
    }
  }

  function begin(): Promise<void> {
    const own = turn();
    current = own;
    next = undefined;
    const end = (): void => {
      if (current !== own || next) return;
      current = undefined;
      if (isClosed) closeSync(journal);
    };
    own.then(end, end);
    return own;
  }

  return {
    sync() {
      if (!current) return begin();
      next ??= current.then(begin, begin);
      return next;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      if (!current) closeSync(journal);
    },
  };
}

const commitUnknown = (file: string, cause: unknown): Fault =>
  new Fault(Code.Unavailable, `Database ${file} could not be brought to the disk: whether the change is kept is not known`, {
    reason: 'commit_unknown',
    cause,
  });
