import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const service = program
    .command('service')
    .helpGroup('Running:')
    .description('Single services of the running server; "cellar ps" lists them.')
    .example('cellar service restart cellar.grpc.data.index.docs', 'Restart one service');

  service
    .command('restart')
    .description('Stop a service in order and start it again. The others go on.')
    .argument('<name>', 'service')
    .completes('service', 'none')
    .example('cellar service restart cellar.grpc.data.index.docs', 'Restart one service')
    .action(async (name: string) => {
      const { restartService } = await import('../actions/services.ts');
      await restartService(context, name);
    });
}
