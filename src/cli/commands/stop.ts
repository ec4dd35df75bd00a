import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('stop')
    .helpGroup('Running:')
    .description('Stop the server of this home and wait until it has ended.')
    .option('--timeout <seconds>', 'How long to wait before it is killed.', '60')
    .example('cellar stop', 'Stop the server')
    .action(async (options: { timeout: string }) => {
      const { stop } = await import('../actions/stop.ts');
      await stop(context, options);
    });
}
