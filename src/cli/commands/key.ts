import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const key = program
    .command('key')
    .helpGroup('People and access:')
    .description('Your key pairs, for S3 tools.')
    .example('cellar key create laptop', 'A key pair for aws, s3cmd, rclone and the like');
  const actions = () => import('../actions/keys.ts');

  key
    .command('create')
    .alias('add')
    .description('Make a key pair. The secret is shown this once, on standard output.')
    .argument('[name]', 'what it is for', '')
    .completes('none')
    .example('cellar key create --json', 'accessKey and secretKey, for programs')
    .action(async (name: string) => (await actions()).createKey(context, name));
  key
    .command('list')
    .alias('ls')
    .description('List your keys, without their secrets.')
    .completes('none')
    .example('cellar key list', 'Your keys')
    .action(async () => (await actions()).listKeys(context));
  key
    .command('remove')
    .alias('rm')
    .description('Withdraw keys at once.')
    .argument('<access-key...>', 'as in the list')
    .completes('none')
    .example('cellar key remove CKABCDEF', 'Withdraw a key')
    .action(async (accessKeys: string[]) => (await actions()).removeKeys(context, accessKeys));
}
