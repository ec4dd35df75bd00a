import { Option } from 'commander';
import type { ClusterFilter } from '../actions/clusters.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';

export function register(program: CliCommand, context: CliContext): void {
  listing(program.command('clusters').helpGroup('Clusters:'), context)
    .example('cellar clusters', 'All clusters')
    .example('cellar clusters --host local --free', 'Those that can be had there');
}

/** The list of clusters, which `cellar cluster list` is too. */
export function listing(command: CliCommand, context: CliContext): CliCommand {
  return command
    .description('List clusters. Administrators see all, others those they have claimed.')
    .completes('none')
    .option('--host <name>', 'Only on this host.')
    .option('--blueprint <name>', 'Only of this blueprint.')
    .addOption(
      new Option('--state <state>', 'Only in this state.').choices([
        ...['building', 'ready', 'stopping', 'stopped', 'recycling', 'deleting', 'failed'],
      ]),
    )
    .addOption(new Option('--health <health>', 'Only of this health.').choices(['ok', 'degraded', 'failed', 'unknown']))
    .option('--free', 'Only those that nobody has claimed.')
    .option('--used', 'Only those that somebody has claimed.')
    .option('--owner <id>', 'Only those of this user, by id.')
    .option('--label <name=value>', 'Only with this label; may be given several times.', collect)
    .completesOptions({ host: 'host', blueprint: 'blueprint' })
    .action(async (options: ClusterFilter) =>
      (await import('../actions/clusters.ts')).listClusters(context, options),
    ) as CliCommand;
}
