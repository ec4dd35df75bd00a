import { InvalidArgumentError } from 'commander';
import type { StartOptions } from '../actions/start.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('start')
    .helpGroup('Running:')
    .description('Start the server of this home, until Ctrl-C or "cellar stop".')
    .option('--host <host>', 'Address to listen on. [setting gateway.host]')
    .option('--port <port>', 'Port to listen on; 0 for any that is free. [setting gateway.port]')
    .option('--datasource <name=dir>', 'Serve a folder; may be given several times.', collectDatasource, [])
    .option(
      '--buckets <name=dir>',
      'Serve a folder whose folders are buckets that S3 tools make and delete; without NAME= it is called s3.',
      readBuckets,
    )
    .option('-d, --detach', 'Return when the server is ready; it goes on in the background.')
    .option('--no-fork', 'Run all services in one process.')
    .option('--fork <name>', 'Run one service only; used by the server itself.')
    .example('cellar start --datasource docs=/usr/share/doc', 'Serve a folder on http://127.0.0.1:8080')
    .example('cellar start --buckets /srv/s3', 'Let S3 tools make buckets in a folder')
    .example('cellar start --home /srv/cellar --detach', 'Start in the background')
    .action(async (options: StartOptions) => {
      const { start } = await import('../actions/start.ts');
      await start(context, options);
    });
}

function collectDatasource(text: string, before: readonly [string, string][]): readonly [string, string][] {
  const at = text.indexOf('=');
  const name = text.slice(0, at);
  const folder = text.slice(at + 1);
  if (at < 1 || !folder) throw new InvalidArgumentError('It must be NAME=DIR, such as docs=/usr/share/doc.');
  if (before.some(([known]) => known === name)) throw new InvalidArgumentError(`"${name}" is given twice.`);
  return [...before, [name, folder]];
}

function readBuckets(text: string): [name: string, folder: string] {
  const at = text.indexOf('=');
  // A path may have the sign in it as well.
  const isNamed = at > 0 && !text.slice(0, at).includes('/');
  const [name, folder] = isNamed ? [text.slice(0, at), text.slice(at + 1)] : ['s3', text];
  if (!folder) throw new InvalidArgumentError('It must be DIR or NAME=DIR, such as /srv/s3.');
  return [name, folder];
}
