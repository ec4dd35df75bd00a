import type { AddOptions } from '../actions/datasources.ts';
import type { NotifyOptions } from '../actions/notify-datasource.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const datasource = program
    .command('datasource')
    .helpGroup('Files:')
    .description('What is served: folders, and buckets of other servers.')
    .example('cellar datasource add photos /srv/photos', 'Serve a folder');
  const actions = () => import('../actions/datasources.ts');

  datasource
    .command('add')
    .alias('create')
    .description('Serve a folder, or a bucket of another S3 server. Its files stay where and what they are.')
    .argument('<name>', 'also the S3 bucket: 2 to 63 lower-case letters, digits and dashes; at least 3 when it is a bucket')
    .argument('[dir]', 'folder on the machine of the server')
    .completes('none', 'local-path', 'none')
    .option('--buckets', 'Every folder in it is a bucket, and S3 tools make and delete them.')
    .option('--remote <address>', 'Serve a bucket of another S3 server: https://HOST/BUCKET or https://HOST/BUCKET/PREFIX.')
    .option('--access-key <key>', 'Of the other server; its secret is asked for, or read from standard input.')
    .option('--secret-key-file <file>', 'File on the machine of the server with the secret, which stays there.')
    .option('--region <name>', 'That signatures name; us-east-1 when not given.')
    .example('cellar datasource add docs /usr/share/doc', 'Serve a folder')
    .example('cellar datasource add s3 /srv/s3 --buckets', 'Let S3 tools make buckets')
    .example('cellar datasource add photos --remote https://s3.example.org/photos --access-key AK', 'Serve a bucket elsewhere')
    .action(async (name: string, folder: string | undefined, options: AddOptions) =>
      (await actions()).addDatasource(context, name, folder, options),
    );
  datasource
    .command('list')
    .alias('ls')
    .description('List datasources, how large they are and how far their index is.')
    .completes('none')
    .example('cellar datasource list', 'All datasources')
    .action(async () => (await actions()).listDatasources(context));
  datasource
    .command('show')
    .description('Show one datasource: where it lies, what it holds, and how its index is.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .example('cellar datasource show docs', 'How is docs?')
    .action(async (name: string) => (await actions()).showDatasource(context, name));
  datasource
    .command('remove')
    .aliases(['rm', 'delete'])
    .description('Stop serving a folder. Its files are left alone.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar datasource remove docs', 'Stop serving a folder')
    .action(async (name: string, options: { yes?: boolean }) => (await actions()).removeDatasource(context, name, options));
  datasource
    .command('resync')
    .description('Compare the whole folder, or a part of it, with the index and bring the index up to date.')
    .argument('<name>', 'datasource')
    .argument('[path]', 'only this folder in it')
    .completes('datasource', 'none')
    .option('--dry-run', 'Say what differs, change nothing.')
    .option('--confirm-deletes', 'Let the index forget many files at once, as when a large folder was really deleted.')
    .example('cellar datasource resync docs --dry-run', 'Is the index right?')
    .example('cellar datasource resync docs reports/2026', 'Look at one folder')
    .action(async (name: string, path: string | undefined, options: { dryRun?: boolean; confirmDeletes?: boolean }) =>
      (await import('../actions/resync.ts')).resyncDatasource(context, name, path, options),
    );
  datasource
    .command('pause')
    .description('Take in nothing that other programs change, until it is resumed.')
    .argument('<name>', 'datasource')
    .argument('[reason]', 'shown to people')
    .completes('datasource', 'none')
    .example('cellar datasource pause docs "the disk is replaced"', 'Before work on the disk')
    .action(async (name: string, reason: string | undefined) => (await actions()).pauseDatasource(context, name, reason));
  datasource
    .command('resume')
    .description('End a pause; what was missed is found by comparing.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .example('cellar datasource resume docs', 'After it')
    .action(async (name: string) => (await actions()).resumeDatasource(context, name));
  datasource
    .command('notify')
    .description(
      'Make the address that the server of a remote datasource tells of changes, with a new token in it. Notifications of S3 go there.',
    )
    .argument('<name>', 'remote datasource')
    .completes('datasource', 'none')
    .option('--address <url>', 'Where that server reaches this one, such as https://cellar.example.org.')
    .option('--off', 'Take no notifications any more: the token is refused from now on.')
    .example('cellar datasource notify photos --address https://cellar.example.org', 'See at once what others change there')
    .example('cellar datasource notify photos --off', 'Back to comparing listings only')
    .action(async (name: string, options: NotifyOptions) =>
      (await import('../actions/notify-datasource.ts')).notifyDatasource(context, name, options),
    );
  datasource
    .command('check')
    .description('Look for damage in the index. Exits with 1 when there is some that was not healed.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .option('--repair', 'Heal it, and compare with the folder where only the folder knows what is right.')
    .example('cellar datasource check docs', 'Is the index whole?')
    .action(async (name: string, options: { repair?: boolean }) =>
      (await import('../actions/check-datasource.ts')).checkDatasource(context, name, options),
    );

  const snapshot = datasource.command('snapshot').description('Copies of the index, to go back to.');
  const snapshots = () => import('../actions/snapshots.ts');
  snapshot
    .command('create')
    .description('Write the index as it is now to a file of the server.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .example('cellar datasource snapshot create docs', 'Keep the index as it is')
    .action(async (name: string) => (await snapshots()).createSnapshot(context, name));
  snapshot
    .command('list')
    .alias('ls')
    .description('List snapshots, the newest first.')
    .argument('<name>', 'datasource')
    .completes('datasource', 'none')
    .example('cellar datasource snapshot list docs', 'What is there to go back to?')
    .action(async (name: string) => (await snapshots()).listSnapshots(context, name));
  snapshot
    .command('restore')
    .description('Put a snapshot in place of the index; the folder is then compared with it. Files are not touched.')
    .argument('<name>', 'datasource')
    .argument('<snapshot>', 'its name, as `list` shows it')
    .completes('datasource', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar datasource snapshot restore docs 20261121T093000Z-5f2c', 'Go back')
    .action(async (name: string, id: string, options: { yes?: boolean }) =>
      (await snapshots()).restoreSnapshot(context, name, id, options),
    );
  snapshot
    .command('delete')
    .alias('rm')
    .description('Delete a snapshot.')
    .argument('<name>', 'datasource')
    .argument('<snapshot>', 'its name, as `list` shows it')
    .completes('datasource', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar datasource snapshot delete docs 20261121T093000Z-5f2c', 'Delete one')
    .action(async (name: string, id: string, options: { yes?: boolean }) =>
      (await snapshots()).deleteSnapshot(context, name, id, options),
    );
}
