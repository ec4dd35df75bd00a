import { CommanderError } from 'commander';
import { Code, Fault } from '#kernel/fault.ts';
import { Exit, exitOfCode } from './exit-codes.ts';
import type { Output } from './output/output.ts';
import { printable } from './output/table.ts';

/**
 * Says on stderr what went wrong: one line, then what to do about it; JSON with `--json`. Returns what to exit with.
 * `interruption` is the exit of the signal that stopped the command, when one did.
 */
export function reportError(error: unknown, output: Output, interruption: Exit | undefined, isDebug: boolean): number {
  if (error instanceof CommanderError) return reportUsage(error, output);
  const fault = asFault(error);
  if (fault.code === Code.Canceled && interruption !== undefined) {
    if (output.isJson) writeJson(fault, interruption, output);
    return interruption;
  }
  const exit = exitOfCode[fault.code];
  if (output.isJson) {
    writeJson(fault, exit, output);
  } else {
    writeLine(output, fault.message);
    for (const { field, message } of fault.violations) output.stderr.write(`  ${printable(field)} ${printable(message)}\n`);
    const hint = fault.hint ?? (fault.retryAfterMs ? `Try again in ${Math.ceil(fault.retryAfterMs / 1000)} s.` : undefined);
    if (hint) output.stderr.write(`${output.messageStyle.dim('hint:')} ${printable(hint)}\n`);
  }
  if (isDebug) output.stderr.write(`${error instanceof Error ? describe(error) : String(error)}\n`);
  return exit;
}

/** Anything thrown as a fault; what no one foresaw keeps its own words, since here the person is also the operator. */
function asFault(error: unknown): Fault {
  const fault = Fault.from(error);
  if (fault.code !== Code.Internal || !(fault.cause instanceof Error)) return fault;
  return new Fault(Code.Internal, `${fault.message}: ${fault.cause.message}`, {
    cause: fault.cause,
    hint: fault.hint ?? 'Set CELLAR_DEBUG=1 for the details; please report this.',
  });
}

// Its messages read `error: unknown option '--jsn'\n(Did you mean --json?)`.
function reportUsage(error: CommanderError, output: Output): number {
  if (error.exitCode === 0) return Exit.Ok;
  if (error.code === 'commander.help') return Exit.Usage; // The help has been shown instead.
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const message = `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
  const hint = suggestion?.replace(/^\(|\)$/g, '') ?? 'See --help.';
  if (output.isJson) {
    writeJson(
      new Fault(Code.InvalidArgument, message, { reason: error.code.replace('commander.', ''), hint }),
      Exit.Usage,
      output,
    );
  } else {
    writeLine(output, message);
    output.stderr.write(`${output.messageStyle.dim('hint:')} ${hint}\n`);
  }
  return Exit.Usage;
}

function writeLine(output: Output, message: string): void {
  output.stderr.write(`${output.messageStyle.red('cellar:')} ${printable(message)}\n`);
}

function writeJson(fault: Fault, exit: Exit, output: Output): void {
  const { code, reason, message, hint, violations, retryAfterMs } = fault;
  const error = { code, reason, message, hint, violations: violations.length > 0 ? violations : undefined, retryAfterMs, exit };
  output.stderr.write(`${JSON.stringify({ error })}\n`);
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describe(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
