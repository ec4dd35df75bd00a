import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('login')
    .helpGroup('Signing in:')
    .description('Sign in to a server and remember it. The password is asked for, or read from a pipe.')
    .option('--name <user>', 'User to sign in as; asked for when absent.')
    .completes('none')
    .example('cellar login --server https://cloud.example --name ada', 'Sign in to a server')
    .example('cellar login --name admin < password.txt', 'Without a terminal')
    .action(async (options: { name?: string }) => {
      const { login } = await import('../actions/sign-in.ts');
      await login(context, options.name);
    });
}
