import { aborted, alreadyExists, Code, exhausted, Fault, failedPrecondition, unavailable } from '../fault.ts';

/** What the network says when the server is away (libuv's names). */
const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
]);

/** Errors that pg makes itself have no code, only these words. */
const lostConnection =
  /^(?:Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client was closed)/;

function codeOf(error: unknown): string | undefined {
  // Node's, when a name has several addresses and none answers.
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** True when two transactions got in each other's way and running this one again is right. */
export function isConflict(error: unknown): boolean {
  return error instanceof Fault && error.reason === 'transaction_conflict';
}

/** True when nothing more can be asked on this connection. */
export function isConnectionFault(fault: Fault): boolean {
  return fault.reason === 'database_unreachable' || fault.reason === 'tables_changed';
}

/** What pg throws, as a fault; SQLSTATE codes are those of PostgreSQL's Appendix A. `name` is the database in messages. */
export function postgresFault(error: unknown, name: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const options = { cause: error };
  if (code === undefined) {
    if (error instanceof Error && lostConnection.test(error.message)) return unreachable(name, error);
    return Fault.from(error);
  }
  if (networkCodes.has(code) || code.startsWith('08') || code.startsWith('57P')) return unreachable(name, error);
  switch (code) {
    case '23505':
      return alreadyExists('The row already exists', { ...options, reason: 'unique_violation' });
    case '23503':
      return failedPrecondition('The row is referred to, or refers to a row that does not exist', {
        ...options,
        reason: 'foreign_key_violation',
      });
    case '23502':
    case '23514':
      return failedPrecondition('The row breaks a rule of its table', { ...options, reason: 'constraint_violation' });
    case '40001':
    case '40P01':
      return aborted(`Transactions on ${name} got in each other’s way`, {
        ...options,
        reason: 'transaction_conflict',
        retryAfterMs: 100,
      });
    case '25P02':
      return aborted('A statement of the transaction failed before', { ...options, reason: 'transaction_lost' });
    case '25P03':
      return new Fault(Code.DeadlineExceeded, `The transaction on ${name} was open too long`, {
        ...options,
        reason: 'transaction_timeout',
      });
    case '57014':
      return new Fault(Code.DeadlineExceeded, `A statement on ${name} took too long`, {
        ...options,
        reason: 'statement_timeout',
      });
    case '55P03':
      return unavailable(`A row of ${name} is locked by another program`, {
        ...options,
        reason: 'database_busy',
        retryAfterMs: 100,
      });
    case '53100':
      return exhausted(`Database ${name} cannot grow: the disk of its server is full`, {
        ...options,
        reason: 'disk_full',
        hint: 'Free some space; nothing needs a restart.',
      });
    case '25006':
      return unavailable(`Database ${name} is read-only`, {
        ...options,
        reason: 'database_read_only',
        hint: 'Point its URL at the primary server.',
      });
    case 'XX001':
    case 'XX002':
      return new Fault(Code.DataLoss, `Database ${name} is damaged`, {
        ...options,
        reason: 'database_corrupt',
        hint: 'Restore it from a backup.',
      });
    case '28000':
    case '28P01':
      return unavailable(`Database ${name} refuses the user or password of its URL`, {
        ...options,
        reason: 'database_login_refused',
      });
    case '3D000':
      return unavailable(`Database ${name}: the server has no database of that name`, { ...options, reason: 'database_missing' });
  }
  if (code === '0A000' && error instanceof Error && error.message.startsWith('cached plan')) {
    return unavailable(`The tables of ${name} were changed meanwhile`, { ...options, reason: 'tables_changed', retryAfterMs: 0 });
  }
  if (code.startsWith('53') || code.startsWith('58')) return unreachable(name, error);
  return new Fault(Code.Internal, 'The database refused a statement', options);
}

function unreachable(name: string, cause: unknown): Fault {
  return unavailable(`Database ${name} cannot be reached`, {
    cause,
    reason: 'database_unreachable',
    hint: 'Check that its PostgreSQL server runs and that the URL is right; nothing needs a restart.',
  });
}
