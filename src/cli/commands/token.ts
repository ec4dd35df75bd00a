import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const token = program
    .command('token')
    .helpGroup('People and access:')
    .description('Your personal tokens, for REST and for this command.')
    .example('cellar token create backup --scope data:read --expires 30d', 'A token that may only read');
  const actions = () => import('../actions/tokens.ts');

  token
    .command('create')
    .alias('add')
    .description('Make a token. It is shown this once, on standard output.')
    .argument('[name]', 'what it is for', '')
    .completes('none')
    .option('--scope <scope...>', 'What it may do, such as data:read, data:write or data:*; default: all you may.')
    .option('--expires <time>', 'How long it holds, such as 12h, 30d or 1y; default: 90d.')
    .example('CELLAR_TOKEN=$(cellar token create ci) cellar ls', 'Make and use a token')
    .example('cellar token create --json | jq -r .token', 'For programs')
    .action(async (name: string, options: { scope?: string[]; expires?: string }) =>
      (await actions()).createToken(context, name, options),
    );
  token
    .command('list')
    .alias('ls')
    .description('List your tokens, without their secrets.')
    .completes('none')
    .example('cellar token list', 'Your tokens')
    .action(async () => (await actions()).listTokens(context));
  token
    .command('remove')
    .alias('rm')
    .description('Withdraw tokens at once.')
    .argument('<id...>', 'as in the list')
    .completes('none')
    .example('cellar token remove 4f2a', 'Withdraw a token')
    .action(async (ids: string[]) => (await actions()).removeTokens(context, ids));
}
