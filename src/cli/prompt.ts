import { Code, Fault } from '#kernel/fault.ts';
import type { Input } from './command.ts';
import type { Output } from './output/output.ts';

/** Longest answer taken. Unit: characters. */
const answerLengthMax = 64 * 1024;

export interface Question {
  readonly text: string;
  /** What is typed is not shown. */
  readonly isSecret?: boolean;
  readonly signal: AbortSignal;
}

/**
 * One line from the person at the terminal, or the first line of a pipe; without its line end.
 * The question goes to stderr, and only to a terminal. Errors: `canceled` at Ctrl-C, Ctrl-D and when the input ends without a line.
 */
export async function ask(input: Input, output: Output, question: Question): Promise<string> {
  const isTerminal = input.isTTY === true && input.setRawMode !== undefined;
  if (isTerminal) output.stderr.write(question.text);
  const isHidden = isTerminal && question.isSecret === true;
  if (isHidden) input.setRawMode?.(true);
  try {
    return await readLine(input, isHidden, question.signal);
  } finally {
    if (isHidden) {
      input.setRawMode?.(false);
      output.stderr.write('\n');
    }
    input.pause();
  }
}

function readLine(input: Input, isRaw: boolean, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const decoder = new TextDecoder();
  let typed = '';
  const cancel = (): void => reject(new Fault(Code.Canceled, 'Nothing was done: no answer was given'));
  const read = (chunk: Buffer | string): void => {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    let at = 0;
    for (const char of text) {
      at += char.length;
      const isEnd = char === '\n' || char === '\r';
      const isCancel = isRaw && (char === '\u0003' || (char === '\u0004' && typed === ''));
      if (isEnd || isCancel) {
        input.pause();
        // What follows belongs to the next question.
        const rest = text.slice(at + (char === '\r' && text[at] === '\n' ? 1 : 0));
        if (rest !== '') input.unshift(Buffer.from(rest));
        if (isEnd) resolve(typed);
        else cancel();
        return;
      }
      typed = isRaw ? edited(typed, char) : typed + char;
      if (typed.length > answerLengthMax) reject(new Fault(Code.InvalidArgument, 'Cannot read the answer: it is too long'));
    }
  };
  const end = (): void => (typed === '' ? cancel() : resolve(typed));
  input.on('data', read).on('end', end).on('error', reject);
  signal.addEventListener('abort', cancel, { once: true });
  if (input.readableEnded || input.destroyed) end();
  else input.resume();
  return promise.finally(() => {
    input.off('data', read).off('end', end).off('error', reject);
    signal.removeEventListener('abort', cancel);
  });
}

// A terminal in raw mode leaves backspace and Ctrl-U to the program.
function edited(typed: string, char: string): string {
  if (char === '\u007f' || char === '\b') return [...typed].slice(0, -1).join('');
  return char === '\u0015' ? '' : typed + char;
}
