import type { ClaimFilter } from '../actions/claims.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('claims')
    .helpGroup('Clusters:')
    .description('List claims: your own; of administrators, those of everybody.')
    .completes('none')
    .option('-a, --all', 'Ended ones too: who had what for how long.')
    .option('--user <user>', 'Only of this user, by name or id; administrators only.')
    .option('--cluster <name>', 'Only of this cluster.')
    .completesOptions({ cluster: 'cluster', user: 'user' })
    .example('cellar claims', 'What do I have?')
    .example('cellar claims --all --cluster evm-dev-a1b2c3', 'Who had this one?')
    .action(async (options: ClaimFilter) => (await import('../actions/claims.ts')).listClaims(context, options));
}
