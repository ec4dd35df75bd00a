import type { EventOptions } from '../actions/fleet-events.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('events')
    .helpGroup('Clusters:')
    .description('Show what happened to hosts, clusters and claims, and why.')
    .completes('none')
    .option('-f, --follow', 'Go on with what is still to come.')
    .option('--host <name>', 'Only of this host.')
    .option('--cluster <name>', 'Only of this cluster.')
    .option('-n, --last <count>', 'How many to begin with; 0: all that are kept.', wholeNumber(0, 1_000_000), 50)
    .completesOptions({ host: 'host', cluster: 'cluster' })
    .example('cellar events -f', 'Watch what happens')
    .example('cellar events --cluster evm-dev-a1b2c3 --last 0', 'The whole life of a cluster')
    .action(async (options: EventOptions) => (await import('../actions/fleet-events.ts')).showEvents(context, options));
}
