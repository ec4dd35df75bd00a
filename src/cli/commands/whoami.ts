import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('whoami')
    .helpGroup('Signing in:')
    .description('Show which server is meant, and who one is there.')
    .completes('none')
    .example('cellar whoami --server localhost:9090', 'Check a login')
    .action(async () => {
      const { whoAmI } = await import('../actions/sign-in.ts');
      await whoAmI(context);
    });
}
