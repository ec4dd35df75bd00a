import type { CliCommand, CliContext } from '../command.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { lookUp } from './look-up.ts';
import { escapeWord, splitLine } from './split-line.ts';
import { type Candidate, readLine } from './wanted.ts';

/** How long a person who pressed Tab waits for a server. Unit: milliseconds. */
const waitMs = 1500;

export type Shell = 'bash' | 'zsh' | 'fish';

/**
 * Prints what the word at the end of `line` could become: `value<TAB>description` per line, values as the shell writes them.
 * What cannot be found out gives no candidates: there is no place for an error in the middle of a line.
 */
export async function complete(program: CliCommand, context: CliContext, shell: Shell, line: string): Promise<void> {
  const { words, rawLast } = splitLine(line);
  const word = words.at(-1) ?? '';
  const { wanted, globals } = readLine(program, words.slice(1));
  (context as Context).configure(globals as GlobalOptions);
  let candidates: readonly Candidate[];
  try {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(waitMs)]);
    candidates = wanted.kind === 'candidates' ? wanted.candidates : await lookUp(context, wanted.completion, word, signal);
  } catch (error) {
    if (context.env['CELLAR_DEBUG']) throw error;
    return;
  }
  const lines = candidates
    .filter(({ value }) => value.startsWith(word))
    .map(({ value, description }) => `${written(shell, value, rawLast)}\t${description.replace(/\s+/g, ' ').slice(0, 80)}`);
  if (lines.length > 0) await context.output.write(`${lines.join('\n')}\n`);
}

// Bash takes `:` and `=` for the ends of words, so that only what follows the last of them is replaced.
function written(shell: Shell, value: string, rawLast: string): string {
  if (shell === 'fish') return value;
  const escaped = escapeWord(value);
  if (shell === 'zsh') return escaped;
  const cut = Math.max(rawLast.lastIndexOf(':'), rawLast.lastIndexOf('=')) + 1;
  return escaped.slice(cut);
}
