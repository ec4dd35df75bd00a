import { invalidArgument } from '#kernel/fault.ts';

/** By datasource, the position of the last event told. */
export type Positions = Readonly<Record<string, number>>;

/** As text that a client keeps and gives back. */
export function writeCursor(positions: Positions): string {
  return Buffer.from(JSON.stringify(positions)).toString('base64url');
}

/** Errors: `invalid_argument` with reason `invalid_cursor`. */
export function readCursor(text: string): Positions {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const entries = Object.entries(value);
      if (entries.every(([, position]) => Number.isSafeInteger(position) && position >= 0)) return Object.fromEntries(entries);
    }
  } catch (cause) {
    throw invalidCursor(cause);
  }
  throw invalidCursor();
}

function invalidCursor(cause?: unknown): Error {
  return invalidArgument('Cannot watch from there: that is no cursor of a watch', {
    reason: 'invalid_cursor',
    hint: 'Give back the cursor of the last answer as it was, or none.',
    cause,
  });
}
