import { Option } from 'commander';
import type { ListOptions } from '../actions/list-files.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('ls')
    .helpGroup('Files:')
    .description('List what a folder holds; without a path, the datasources.')
    .argument('[path]', 'remote path', '')
    .completes('remote-path')
    .option('-l, --long', 'Size, number of files below, time of change.')
    .option('-R, --recursive', 'Everything below, as paths.')
    .option('--bytes', 'Exact sizes in bytes.')
    .addOption(new Option('--sort <order>', 'Order of each folder.').choices(['name', 'size', 'time']).default('name'))
    .option('--reverse', 'The other way round.')
    .example('cellar ls', 'The datasources')
    .example('cellar ls -l --sort size --reverse docs', 'What docs holds, largest first')
    .example('cellar ls -R --json docs', 'Everything in docs, for programs')
    .action(async (path: string, options: ListOptions) => {
      const { listFiles } = await import('../actions/list-files.ts');
      await listFiles(context, path, options);
    });
}
