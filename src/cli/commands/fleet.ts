import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const fleet = program
    .command('fleet')
    .helpGroup('Clusters:')
    .description('All hosts and clusters together.')
    .example('cellar fleet stats', 'How much is used, and how long do things take?');

  fleet
    .command('stats')
    .alias('statistics')
    .description('Show counts by state, host and blueprint, how long things took, and use over time.')
    .completes('none')
    .option('--window <time>', 'How far to look back, such as 12h or 30d; at most 90d.', '1d')
    .example('cellar fleet stats', 'Of the last day')
    .example('cellar fleet stats --window 30d --json | jq .history', 'Use over the last month, for a drawing')
    .action(async (options: { window: string }) =>
      (await import('../actions/fleet-statistics.ts')).showStatistics(context, options),
    );
}
