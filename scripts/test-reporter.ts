/** Prints failures in full and everything else as marks; `\u0001` lines are records for `scripts/test.ts`, which counts. */
export default async function* report(source: AsyncIterable<Event>): AsyncGenerator<string, void, undefined> {
  const started = new Map<string, number>();
  for await (const event of source) {
    const { data } = event;
    const file = data.file?.replace(`${process.cwd()}/`, '') ?? '';
    if (event.type === 'test:stderr' || event.type === 'test:stdout') yield `  ${file}: ${(data.message ?? '').trimEnd()}\n`;
    if (event.type === 'test:start' && data.nesting === 0) started.set(file, Date.now());
    if (event.type === 'test:summary' && data.file) {
      const counts = data.counts ?? { passed: 0, failed: 0, tests: 0 };
      yield `${counts.failed ? 'FAIL' : 'ok  '} ${file} (${counts.tests} tests, ${Math.round(data.duration_ms ?? 0)} ms)\n`;
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    // A file, and a suite, are counted by what is in them; unless they fail by themselves.
    const isGroup = data.details?.type === 'suite' || data.name === data.file || data.name === file;
    const text = `${file}: ${data.name}`;
    if (data.skip !== undefined && data.skip !== false) {
      yield record('skip', typeof data.skip === 'string' && data.skip ? data.skip : text);
    } else if (data.todo !== undefined && data.todo !== false) {
      yield record('skip', `${text} (to do)`);
    } else if (event.type === 'test:fail') {
      const error = data.details?.error as (Error & { failureType?: string; cause?: unknown }) | undefined;
      if (error?.failureType === 'subtestsFailed') continue;
      yield `\nFAIL ${text}\n${inspectError(error)}\n`;
      yield record('fail', text);
    } else if (!isGroup) {
      yield record('pass', text);
    }
  }
}

interface Event {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly nesting?: number;
    readonly message?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly duration_ms?: number;
    readonly counts?: { readonly tests: number; readonly failed: number };
    readonly details?: { readonly type?: string; readonly error?: unknown };
  };
}

function record(kind: 'pass' | 'fail' | 'skip', text: string): string {
  return `\u0001${JSON.stringify({ kind, text })}\n`;
}

function inspectError(error: (Error & { cause?: unknown }) | undefined): string {
  const cause = error?.cause ?? error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}
