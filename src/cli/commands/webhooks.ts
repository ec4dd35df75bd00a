import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  listing(program.command('webhooks').helpGroup('Clusters:') as CliCommand, context).example(
    'cellar webhooks',
    'Who is told what',
  );
}

/** The list of webhooks, which `cellar webhook list` is too. */
export function listing(command: CliCommand, context: CliContext): CliCommand {
  return command
    .description('List webhooks: other systems that are told what happens to clusters.')
    .completes('none')
    .action(async () => (await import('../actions/webhooks.ts')).listWebhooks(context)) as CliCommand;
}
