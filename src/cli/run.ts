import { Context, type GlobalOptions, type Surface } from './context.ts';
import { reportError } from './errors.ts';
import type { Exit } from './exit-codes.ts';
import { createProgram } from './program.ts';

export interface RunSurface extends Surface {
  /** What to exit with when a signal has stopped the command; undefined when none did. */
  readonly interruption: () => Exit | undefined;
}

/** Runs one command line (without `node` and script) and says what to exit with; does not exit. */
export async function runCli(args: readonly string[], surface: RunSurface): Promise<number> {
  const context = new Context(surface);
  // Also for what goes wrong before the options are read.
  context.configure({ json: beforeDashes(args).includes('--json') });
  try {
    const program = await createProgram(args, context);
    program.hook('preAction', () => context.configure(program.opts<GlobalOptions>()));
    await program.parseAsync(args, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return reportError(error, context.output, surface.interruption(), Boolean(surface.env['CELLAR_DEBUG']));
  } finally {
    await context.close();
  }
}

function beforeDashes(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  return at < 0 ? args : args.slice(0, at);
}
