import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('renew')
    .helpGroup('Clusters:')
    .description('Keep a claimed cluster longer, from now on.')
    .argument('<claim>', 'id of the claim, or name of its cluster')
    .completes('claim', 'none')
    .option('--ttl <time>', 'How long, such as 8h; default: as long as at first.')
    .example('cellar renew evm-dev-a1b2c3 --ttl 4h', 'Four hours from now')
    .action(async (claim: string, options: { ttl?: string }) =>
      (await import('../actions/claims.ts')).renewClaim(context, claim, options),
    );
}
