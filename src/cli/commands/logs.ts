import type { LogsOptions } from '../actions/logs.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('logs')
    .helpGroup('Running:')
    .description('Show the newest log lines.')
    .option('-f, --follow', 'Go on with those still to come.')
    .option('-s, --service <name>', 'Only of this service; without its last words also of several, such as cellar.grpc.data.')
    .option('-n, --lines <count>', 'How many to begin with.', '100')
    .option('--level <level>', 'Only lines of this level or worse: debug, info, warn, error.')
    .example('cellar logs -f', 'Watch what happens')
    .example('cellar logs --service cellar.grpc.data.index.docs --level warn', 'What troubles a service')
    .action(async (options: LogsOptions) => {
      const { showLogs } = await import('../actions/logs.ts');
      await showLogs(context, options);
    });
}
