import { Option } from 'commander';
import type { OperationFilter } from '../actions/operations.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  listing(program.command('operations').helpGroup('Clusters:'), context)
    .example('cellar operations --state running', 'What is under way?')
    .example('cellar operations --host local', 'What was done there?');
}

/** The list of operations, which `cellar operation list` is too. */
export function listing(command: CliCommand, context: CliContext): CliCommand {
  return command
    .description('List operations: work that takes a while, the newest first.')
    .completes('none')
    .addOption(new Option('--state <state>', 'Only in this state.').choices(['running', 'done', 'failed', 'cancelled']))
    .addOption(new Option('--host <name>', 'Only on this host.').conflicts('cluster'))
    .option('--cluster <name>', 'Only on this cluster.')
    .completesOptions({ host: 'host', cluster: 'cluster' })
    .action(async (options: OperationFilter) =>
      (await import('../actions/operations.ts')).listOperations(context, options),
    ) as CliCommand;
}
