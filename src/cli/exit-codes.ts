import type { Code } from '#kernel/fault.ts';

/** What the command exits with. Fixed, so that scripts can rely on it. */
export const Exit = {
  Ok: 0,
  Failed: 1,
  Usage: 2,
  NotFound: 3,
  Denied: 4,
  Unavailable: 5,
  Conflict: 6,
  Exhausted: 7,
  Interrupted: 130,
  BrokenPipe: 141,
  Terminated: 143,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

export const exitMeanings: Readonly<Record<Exit, string>> = {
  0: 'Done.',
  1: 'Failed, in whole or in part; the messages say what and why.',
  2: 'The command was not understood, or a value in it is not allowed. Nothing was done.',
  3: 'What was named does not exist.',
  4: 'Not allowed, or not signed in.',
  5: 'The server cannot be reached, is busy, or took too long. Trying again later may help.',
  6: 'Something is in the way: it exists already, was changed meanwhile, or is not in a state that allows this.',
  7: 'A limit was reached: too many attempts, too large, or no room.',
  130: 'Interrupted by Ctrl-C.',
  141: 'The program that read the output ended early, as in `cellar ls | head`.',
  143: 'Ended by SIGTERM.',
};

export const exitOfCode: Readonly<Record<Code, Exit>> = {
  canceled: Exit.Failed,
  unknown: Exit.Failed,
  internal: Exit.Failed,
  unimplemented: Exit.Failed,
  data_loss: Exit.Failed,
  invalid_argument: Exit.Usage,
  out_of_range: Exit.Usage,
  not_found: Exit.NotFound,
  permission_denied: Exit.Denied,
  unauthenticated: Exit.Denied,
  unavailable: Exit.Unavailable,
  deadline_exceeded: Exit.Unavailable,
  already_exists: Exit.Conflict,
  failed_precondition: Exit.Conflict,
  aborted: Exit.Conflict,
  resource_exhausted: Exit.Exhausted,
};
