import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const config = program
    .command('config')
    .helpGroup('Running:')
    .description('Settings of the installation. Works while the server runs and while it does not.')
    .example('cellar config set log.level debug', 'Log more');
  const actions = () => import('../actions/config.ts');

  config
    .command('list')
    .alias('ls')
    .description('List settings with their values and where these come from.')
    .argument('[prefix]', 'only keys that begin so')
    .completes('setting', 'none')
    .option('--changed', 'Only those that are not at their defaults.')
    .example('cellar config list gateway', 'How the server is reached')
    .action(async (prefix: string | undefined, options: { changed?: boolean }) =>
      (await actions()).listSettings(context, prefix, options),
    );
  config
    .command('get')
    .description('Show a setting: value, where it comes from, what it may be.')
    .argument('<key>', 'such as log.level')
    .completes('setting', 'none')
    .example('cellar config get log.level', 'One setting')
    .action(async (key: string) => (await actions()).getSetting(context, key));
  config
    .command('set')
    .description('Change a setting. Values in the environment and on the command line win over it.')
    .argument('<key>', 'such as log.level')
    .argument('<value>', 'a word, or JSON')
    .completes('setting', 'none')
    .example('cellar config set log.level debug', 'Log more')
    .action(async (key: string, value: string) => (await actions()).setSetting(context, key, value));
  config
    .command('unset')
    .description('Go back to the value of cellar.yaml, or the default.')
    .argument('<key>', 'such as log.level')
    .completes('setting', 'none')
    .example('cellar config unset log.level', 'Log as before')
    .action(async (key: string) => (await actions()).unsetSetting(context, key));
  config
    .command('check')
    .description('Check cellar.yaml and the environment without starting anything. Exits with 2 when something is wrong.')
    .example('cellar config check', 'May I start?')
    .action(async () => (await actions()).checkSettings(context));
}
