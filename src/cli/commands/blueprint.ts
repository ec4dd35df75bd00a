import type { CliCommand, CliContext } from '../command.ts';
import { listing } from './blueprints.ts';

export function register(program: CliCommand, context: CliContext): void {
  const blueprint = program
    .command('blueprint')
    .helpGroup('Clusters:')
    .description('What clusters are made from.')
    .example('cellar blueprint show evm-dev', 'What can be chosen?');
  const actions = () => import('../actions/blueprints.ts');

  listing(blueprint.command('list').alias('ls') as CliCommand, context).example('cellar blueprint list', 'All blueprints');
  blueprint
    .command('show')
    .description('Show a blueprint and its parameters.')
    .argument('<name>', 'blueprint')
    .completes('blueprint', 'none')
    .option('--text', 'Its YAML text instead.')
    .example('cellar blueprint show evm-dev', 'What can be chosen?')
    .example('cellar blueprint show evm-dev --text > mine.yaml', 'Begin one of your own')
    .action(async (name: string, options: { text?: boolean }) => (await actions()).showBlueprint(context, name, options));
  blueprint
    .command('validate')
    .description('Show all problems of a blueprint, without keeping it. Exits with 1 when there are some.')
    .argument('<file>', 'YAML; "-": standard input')
    .completes('local-path', 'none')
    .example('cellar blueprint validate mine.yaml', 'Is it right?')
    .action(async (file: string) => (await actions()).validateBlueprint(context, file));
  blueprint
    .command('plan')
    .description('Show what a cluster would be made of.')
    .argument('<blueprint>', 'name, or a file: a word with a dot or a slash, or "-"')
    .argument('[parameter...]', 'name=value')
    .completes('blueprint', 'none')
    .example('cellar blueprint plan evm-dev blockSeconds=2', 'Of a blueprint that is there')
    .example('cellar blueprint plan ./mine.yaml', 'Of a file')
    .action(async (name: string, words: string[]) => (await actions()).planBlueprint(context, name, words));
  blueprint
    .command('add')
    .alias('set')
    .description('Add a blueprint, or replace one. Its name is the one in the file.')
    .argument('<file>', 'YAML; "-": standard input')
    .completes('local-path', 'none')
    .example('cellar blueprint add mine.yaml', 'Add one')
    .action(async (file: string) => (await actions()).addBlueprint(context, file));
  blueprint
    .command('delete')
    .aliases(['remove', 'rm'])
    .description('Delete a blueprint; refused while a cluster or a host uses it.')
    .argument('<name>', 'blueprint')
    .completes('blueprint', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar blueprint delete mine', 'Delete one')
    .action(async (name: string, options: { yes?: boolean }) => (await actions()).deleteBlueprint(context, name, options));
}
