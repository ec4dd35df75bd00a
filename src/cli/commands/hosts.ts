import { Option } from 'commander';
import type { HostFilter } from '../actions/hosts.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';

export const hostTypes = ['process', 'docker', 'swarm', 'kubernetes', 'simulated'];

export function register(program: CliCommand, context: CliContext): void {
  listing(program.command('hosts').helpGroup('Clusters:'), context)
    .example('cellar hosts', 'All hosts')
    .example('cellar hosts --type docker --label zone=a', 'Some of them');
}

/** The list of hosts, which `cellar host list` is too. */
export function listing(command: CliCommand, context: CliContext): CliCommand {
  return command
    .description('List hosts: where clusters run, how many are there and how many are free.')
    .completes('none')
    .addOption(new Option('--type <type>', 'Only of this type.').choices(hostTypes))
    .addOption(
      new Option('--state <state>', 'Only in this state.').choices([
        'active',
        'unreachable',
        'draining',
        'resetting',
        'deleting',
      ]),
    )
    .option('--label <name=value>', 'Only with this label; may be given several times.', collect)
    .action(async (options: HostFilter) => (await import('../actions/hosts.ts')).listHosts(context, options)) as CliCommand;
}
