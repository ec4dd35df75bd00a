import type { CliCommand, CliContext } from '../command.ts';
import { listing } from './operations.ts';

export function register(program: CliCommand, context: CliContext): void {
  const operation = program
    .command('operation')
    .helpGroup('Clusters:')
    .description('Work that takes a while, such as the fillup of a host.')
    .example('cellar operation watch 0b7d2f3c-5a1e-4c8e-9a57-2f1d3b6c7e80', 'Wait until it has ended');
  const actions = () => import('../actions/operations.ts');
  const verb = (name: string, description: string): CliCommand =>
    operation.command(name).description(description).argument('<id>', 'operation').completes('operation', 'none') as CliCommand;

  listing(operation.command('list').alias('ls') as CliCommand, context).example('cellar operation list', 'The newest operations');
  verb('show', 'Show one operation.')
    .example('cellar operation show 0b7d2f3c-5a1e-4c8e-9a57-2f1d3b6c7e80', 'How far is it?')
    .action(async (id: string) => (await actions()).showOperation(context, id));
  verb('watch', 'Show how far an operation is until it has ended. Exits with 1 when it did not end well.')
    .example('cellar operation watch 0b7d2f3c-5a1e-4c8e-9a57-2f1d3b6c7e80', 'Wait until it has ended')
    .action(async (id: string) => (await actions()).watchOperation(context, id));
  verb('cancel', 'Stop an operation; what is half done is finished or undone.')
    .example('cellar operation cancel 0b7d2f3c-5a1e-4c8e-9a57-2f1d3b6c7e80', 'Stop it')
    .action(async (id: string) => (await actions()).cancelOperation(context, id));
}
