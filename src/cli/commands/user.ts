import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const user = program
    .command('user')
    .helpGroup('People and access:')
    .description('People who may sign in.')
    .example('cellar user add ada --admin', 'A new administrator, with a password asked for');
  const actions = () => import('../actions/users.ts');

  user
    .command('add')
    .description('Add a user. The password is asked for at a terminal; without one the user cannot sign in until it is set.')
    .argument('<name>', 'lower-case letters, digits, dot, dash and underscore')
    .completes('none')
    .option('--display-name <text>', 'Name for people.')
    .option('--admin', 'May administer the installation.')
    .option('--password-stdin', 'Read the password from standard input.')
    .example('cellar user add ada --display-name "Ada Lovelace"', 'Add a user')
    .action(async (name: string, options: { displayName?: string; admin?: boolean; passwordStdin?: boolean }) =>
      (await actions()).addUser(context, name, options),
    );
  user
    .command('list')
    .alias('ls')
    .description('List users.')
    .completes('none')
    .example('cellar user list', 'All users')
    .action(async () => (await actions()).listUsers(context));
  user
    .command('show')
    .description('Show a user.')
    .argument('<name>', 'user')
    .completes('user')
    .example('cellar user show ada', 'One user')
    .action(async (name: string) => (await actions()).showUser(context, name));
  user
    .command('update')
    .description('Change what is known of a user.')
    .argument('<name>', 'user')
    .completes('user', 'none')
    .option('--display-name <text>', 'Name for people.')
    .option('--admin', 'May administer the installation.')
    .option('--no-admin', 'May no longer administer the installation.')
    .example('cellar user update ada --admin', 'Make an administrator of a user')
    .action(async (name: string, options: { displayName?: string; admin?: boolean }) =>
      (await actions()).updateUser(context, name, options),
    );
  user
    .command('disable')
    .description('Refuse a user at once: sessions, tokens and keys.')
    .argument('<name>', 'user')
    .completes('user', 'none')
    .example('cellar user disable ada', 'Lock a user out')
    .action(async (name: string) => (await actions()).setDisabled(context, name, true));
  user
    .command('enable')
    .description('Let a disabled user in again.')
    .argument('<name>', 'user')
    .completes('user', 'none')
    .example('cellar user enable ada', 'Let a user in again')
    .action(async (name: string) => (await actions()).setDisabled(context, name, false));
  user
    .command('remove')
    .alias('rm')
    .description('Delete a user. Files stay.')
    .argument('<name>', 'user')
    .completes('user', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar user remove ada', 'Delete a user')
    .action(async (name: string, options: { yes?: boolean }) => (await actions()).removeUser(context, name, options));
  user
    .command('password')
    .description(
      'Set a password: your own, or as administrator anybody’s. From a pipe: the new one, then, for your own, the old one.',
    )
    .argument('[name]', 'user; default: you')
    .completes('user', 'none')
    .example('cellar user password', 'Change your password')
    .example('cellar user password ada < password.txt', 'Without a terminal')
    .action(async (name: string | undefined) => (await actions()).setPassword(context, name));
}
