import { aborted, alreadyExists, Code, exhausted, Fault, failedPrecondition, unavailable } from '../fault.ts';

/** SQLite's primary result codes that we tell apart (sqlite3.h); the extended code's low byte. */
const Result = {
  Busy: 5,
  Locked: 6,
  ReadOnly: 8,
  Interrupt: 9,
  IoError: 10,
  Corrupt: 11,
  Full: 13,
  CannotOpen: 14,
  Constraint: 19,
  NotADatabase: 26,
} as const;

/** Extended codes of `SQLITE_CONSTRAINT`. */
const Constraint = { ForeignKey: 787, PrimaryKey: 1555, Unique: 2067, RowId: 2579 } as const;

function resultCode(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
}

/** True when another connection holds the file and the same statement may succeed in a moment. */
export function isBusy(error: unknown): boolean {
  const code = (resultCode(error) ?? 0) & 0xff;
  return code === Result.Busy || code === Result.Locked;
}

/** True when the connection itself can no longer be trusted and has to be opened again. */
export function breaksConnection(error: unknown): boolean {
  const code = (resultCode(error) ?? 0) & 0xff;
  return (
    code === Result.IoError ||
    code === Result.CannotOpen ||
    code === Result.ReadOnly ||
    code === Result.Corrupt ||
    code === Result.NotADatabase
  );
}

/** What node:sqlite throws, as a fault. `file` is named in messages. */
export function sqliteFault(error: unknown, file: string): Fault {
  if (error instanceof Fault) return error;
  const code = resultCode(error);
  if (code === undefined) return Fault.from(error);
  const options = { cause: error };
  switch (code & 0xff) {
    case Result.Busy:
    case Result.Locked:
      return unavailable(`Database ${file} is locked by another program`, {
        ...options,
        reason: 'database_busy',
        retryAfterMs: 100,
      });
    case Result.Full:
      return exhausted(`Database ${file} cannot grow: the disk is full`, {
        ...options,
        reason: 'disk_full',
        hint: 'Free some space; nothing needs a restart.',
      });
    case Result.ReadOnly:
      return unavailable(`Database ${file} is read-only`, {
        ...options,
        reason: 'database_read_only',
        hint: 'Check the permissions of the file and its folder, and that the disk is mounted for writing.',
      });
    case Result.IoError:
    case Result.CannotOpen:
      return unavailable(`Database ${file} cannot be read or written`, {
        ...options,
        reason: 'database_unreachable',
        hint: 'Check that the disk is mounted and healthy.',
      });
    case Result.Corrupt:
    case Result.NotADatabase:
      return new Fault(Code.DataLoss, `Database ${file} is damaged`, {
        ...options,
        reason: 'database_corrupt',
        hint: 'Restore it from a backup.',
      });
    case Result.Interrupt:
      return aborted(`A statement on database ${file} was interrupted`, options);
    case Result.Constraint:
      return constraintFault(code, options);
    default:
      return new Fault(Code.Internal, 'The database refused a statement', options);
  }
}

function constraintFault(code: number, options: { cause: unknown }): Fault {
  if (code === Constraint.Unique || code === Constraint.PrimaryKey || code === Constraint.RowId) {
    return alreadyExists('The row already exists', { ...options, reason: 'unique_violation' });
  }
  if (code === Constraint.ForeignKey) {
    return failedPrecondition('The row is referred to, or refers to a row that does not exist', {
      ...options,
      reason: 'foreign_key_violation',
    });
  }
  return failedPrecondition('The row breaks a rule of its table', { ...options, reason: 'constraint_violation' });
}
