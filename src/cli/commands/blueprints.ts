import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  listing(program.command('blueprints').helpGroup('Clusters:'), context).example('cellar blueprints', 'What can be built?');
}

/** The list of blueprints, which `cellar blueprint list` is too. */
export function listing(command: CliCommand, context: CliContext): CliCommand {
  return command
    .description('List blueprints: what clusters are made from.')
    .completes('none')
    .action(async () => (await import('../actions/blueprints.ts')).listBlueprints(context)) as CliCommand;
}
