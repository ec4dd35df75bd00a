import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('status')
    .helpGroup('Running:')
    .description(
      'Say whether the server runs, where, and what is not ready. Exits with 5 when it does not run or something is not ready.',
    )
    .example('cellar status', 'Is all well?')
    .action(async () => {
      const { showStatus } = await import('../actions/status.ts');
      await showStatus(context);
    });
}
