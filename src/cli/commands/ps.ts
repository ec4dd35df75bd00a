import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('ps')
    .helpGroup('Running:')
    .description('List the services of the running server: process, state, restarts, memory, processor, address.')
    .example('cellar ps', 'All services')
    .action(async () => {
      const { listServices } = await import('../actions/ps.ts');
      await listServices(context);
    });
}
