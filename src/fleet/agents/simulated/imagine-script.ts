/** What a simulated member has: files by their path from its root, with their mode as `ls` shows it. */
export type ImaginedFiles = Map<string, { text: string; readonly mode: string }>;

/** What comes of a script. Unit: milliseconds after its beginning. */
export interface Imagined {
  readonly lines: readonly { readonly afterMs: number; readonly text: string; readonly isError: boolean }[];
  /** Absent: it goes on for ever. */
  readonly end?: { readonly afterMs: number; readonly exitCode: number };
  /** It does not end when it is asked to. */
  readonly isStubborn: boolean;
  /** Of the first command that nobody has taught the simulation; the script goes no further. */
  readonly notUnderstood?: string;
}

type Token = { readonly text: string; readonly isQuoted: boolean };

const tokenShape = /'([^']*)'|"([^"]*)"|(;)|\n|[^\s;'"]+/g;

/**
 * What a little script of the POSIX shell does, without anything being run.
 *
 * Shape: `echo`, `cat`, `ls -l`, `true`, `false`, `exit`, `sleep`, `trap`, `sh -c`, a file with such a script, `for`, and `while`, which goes on for
 * ever; one after another with `;`. Of redirections `>`, `>>` and `>&2`. Files are changed at once, whenever it would have been.
 */
export function imagineScript(script: string, files: ImaginedFiles, environment: Readonly<Record<string, string>>): Imagined {
  const lines: { afterMs: number; text: string; isError: boolean }[] = [];
  const variables: Record<string, string> = { ...environment };
  let afterMs = 0;
  let exitCode = 0;
  let isStubborn = false;
  let stop: 'no' | 'ended' | 'forever' = 'no';
  let notUnderstood: string | undefined;

  /** Text of what it says; `undefined`: nothing. */
  function command([name = '', ...words]: readonly string[]): string | undefined {
    exitCode = 0;
    const complain = (text: string): undefined => {
      exitCode = 1;
      lines.push({ afterMs, text, isError: true });
    };
    if (name === 'echo') return words.join(' ');
    if (name === 'true' || name === ':' || name === '') return undefined;
    if (name === 'false') exitCode = 1;
    else if (name === 'sleep') afterMs += Number(words[0]) * 1000;
    else if (name === 'trap') isStubborn ||= words[0] === '';
    else if (name === 'exit') {
      exitCode = Number(words[0] ?? 0);
      stop = 'ended';
    } else if (name === 'cat' || name === 'ls') {
      const path = pathOf(words.at(-1) ?? '');
      const file = files.get(path);
      if (!file) return complain(`${name}: ${path}: No such file or directory`);
      return name === 'cat' ? file.text.replace(/\n$/, '') : `${file.mode} 1 root root ${file.text.length} ${path}`;
    } else if (name === 'sh' && words[0] === '-c') {
      const inner = imagineScript(words[1] ?? '', files, variables);
      lines.push(...inner.lines.map((line) => ({ ...line, afterMs: line.afterMs + afterMs })));
      ({ notUnderstood } = inner);
      if (!inner.end) stop = 'forever';
      afterMs += inner.end?.afterMs ?? 0;
      exitCode = inner.end?.exitCode ?? 0;
    } else if (files.get(pathOf(name))?.mode.includes('x')) {
      return command(['sh', '-c', files.get(pathOf(name))?.text.replace(/^#!.*\n/, '') ?? '']);
    } else {
      notUnderstood = name;
      stop = 'forever';
    }
    return undefined;
  }

  function statement(words: readonly string[]): void {
    const to = words.findIndex((word) => word.startsWith('>'));
    const [redirection = '', target = ''] = to < 0 ? [] : words.slice(to);
    const text = command(to < 0 ? words : words.slice(0, to));
    if (text === undefined) return;
    if (redirection !== '>' && redirection !== '>>') {
      for (const line of text.split('\n')) lines.push({ afterMs, text: line, isError: redirection === '>&2' });
      return;
    }
    const known = redirection === '>>' ? files.get(pathOf(target)) : undefined;
    files.set(pathOf(target), { mode: known?.mode ?? '-rw-r--r--', text: `${known?.text ?? ''}${text}\n` });
  }

  function run(tokens: readonly Token[]): void {
    for (let at = 0; at < tokens.length && stop === 'no'; ) {
      const isAt = (index: number, text: string): boolean => tokens[index]?.text === text && !tokens[index].isQuoted;
      const end = tokens.findIndex((_, index) => index >= at && isAt(index, ';'));
      const words = tokens.slice(at, end < 0 ? tokens.length : end);
      at = end < 0 ? tokens.length : end + 1;
      if (words[0]?.text === 'while') stop = 'forever';
      else if (words[0]?.text === 'for') {
        const done = tokens.findIndex((_, index) => index >= at && isAt(index, 'done'));
        for (const { text } of words.slice(3)) {
          variables[words[1]?.text ?? ''] = text;
          run(tokens.slice(at + 1, done));
        }
        at = done + 1;
      } else statement(words.map(({ text }) => text.replace(/\$(\w+)/g, (_, name: string) => variables[name] ?? '')));
    }
  }

  run(
    [...script.matchAll(tokenShape)].map(([text, single, double]) => ({
      text: single ?? double ?? (text === '\n' ? ';' : text),
      isQuoted: single !== undefined || double !== undefined,
    })),
  );
  return {
    ...{ lines, isStubborn },
    ...((stop as string) === 'forever' ? {} : { end: { afterMs, exitCode } }),
    ...(notUnderstood === undefined ? {} : { notUnderstood }),
  };
}

const pathOf = (path: string): string => path.replace(/^\.?\/*/, '/');
