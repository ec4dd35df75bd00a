import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('logout')
    .helpGroup('Signing in:')
    .description('End the session stored for a server and forget it.')
    .completes('none')
    .example('cellar logout', 'Sign out of the server last logged in to')
    .action(async () => {
      const { logout } = await import('../actions/sign-in.ts');
      await logout(context);
    });
}
