import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const datasource = program
    .command('datasource')
    .helpGroup('Files:')
    .description('The folders that are served.')
    .example('cellar datasource add photos /srv/photos', 'Serve a folder');
  const actions = () => import('../actions/datasources.ts');

  datasource
    .command('add')
    .description('Serve a folder. Its files stay where and what they are.')
    .argument('<name>', 'also the S3 bucket: 3 to 63 lower-case letters, digits and dashes')
    .argument('<dir>', 'folder on the machine of the server')
    .completes('none', 'local-path', 'none')
    .example('cellar datasource add docs /usr/share/doc', 'Serve a folder')
    .action(async (name: string, folder: string) => (await actions()).addDatasource(context, name, folder));
  datasource
    .command('list')
    .alias('ls')
    .description('List datasources, how large they are and how far their index is.')
    .completes('none')
    .example('cellar datasource list', 'All datasources')
    .action(async () => (await actions()).listDatasources(context));
  datasource
    .command('remove')
    .alias('rm')
    .description('Stop serving a folder. Its files are left alone.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar datasource remove docs', 'Stop serving a folder')
    .action(async (name: string, options: { yes?: boolean }) => (await actions()).removeDatasource(context, name, options));
  datasource
    .command('resync')
    .description('Compare the whole folder with the index and bring the index up to date.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .option('--dry-run', 'Say what differs, change nothing.')
    .option('--confirm-deletes', 'Let the index forget many files at once, as when a large folder was really deleted.')
    .example('cellar datasource resync docs --dry-run', 'Is the index right?')
    .action(async (name: string, options: { dryRun?: boolean; confirmDeletes?: boolean }) =>
      (await actions()).resyncDatasource(context, name, options),
    );
}
