import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('release')
    .helpGroup('Clusters:')
    .description('Give a claimed cluster back. Its data are deleted.')
    .argument('<claim>', 'id of the claim, or name of its cluster')
    .completes('claim', 'none')
    .example('cellar release evm-dev-a1b2c3', 'Give it back')
    .action(async (claim: string) => (await import('../actions/claims.ts')).releaseClaim(context, claim));
}
