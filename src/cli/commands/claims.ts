import type { ClaimFilter } from '../actions/claims.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('claims')
    .helpGroup('Clusters:')
    .description('List claims: your own; of administrators, those of everybody.')
    .completes('none')
    .option('-a, --all', 'Ended ones too: who had what for how long.')
    .option('--user <id>', 'Only of this user, by id.')
    .option('--cluster <name>', 'Only of this cluster.')
    .completesOptions({ cluster: 'cluster' })
    .example('cellar claims', 'What do I have?')
    .example('cellar claims --all --cluster evm-dev-a1b2c3', 'Who had this one?')
    .action(async (options: ClaimFilter) => (await import('../actions/claims.ts')).listClaims(context, options));
}
