import type { ClusterVerb, CreateOptions, LogOptions, VerbOptions } from '../actions/clusters.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';
import { wholeNumber } from '../whole-number.ts';
import { listing } from './clusters.ts';

export function register(program: CliCommand, context: CliContext): void {
  const cluster = program
    .command('cluster')
    .helpGroup('Clusters:')
    .description('Networks made from blueprints.')
    .example('cellar cluster show evm-dev-a1b2c3', 'How is it, and where?');
  const actions = () => import('../actions/clusters.ts');

  /** A verb about one cluster. */
  const verb = (name: string, description: string): CliCommand =>
    cluster.command(name).description(description).argument('<name>', 'cluster').completes('cluster', 'none') as CliCommand;
  const change = (name: ClusterVerb, description: string): CliCommand =>
    verb(name, description)
      .option('--no-wait', 'Return when the work has begun.')
      .action(async (which: string, options: VerbOptions) =>
        (await actions()).changeCluster(context, name, which, options),
      ) as CliCommand;

  cluster
    .command('create')
    .alias('add')
    .description('Build a cluster, for the pool. To use one yourself, see "cellar apply".')
    .argument('<blueprint>', 'what it is made from')
    .argument('[parameter...]', 'name=value')
    .completes('blueprint', 'none')
    .option('--name <name>', 'Default: one is made up.')
    .option('--host <name>', 'Default: the one with most room.')
    .option('--label <name=value>', 'For choosing among clusters; may be given several times.', collect)
    .option('--no-wait', 'Return when the work has begun.')
    .completesOptions({ host: 'host' })
    .example('cellar cluster create evm-dev chainId=5 --name five', 'A cluster with a name')
    .action(async (blueprint: string, words: string[], options: CreateOptions) =>
      (await actions()).createCluster(context, blueprint, words, options),
    );
  listing(cluster.command('list').alias('ls') as CliCommand, context).example('cellar cluster list', 'All clusters');
  verb('show', 'Show one cluster: its members, addresses, and how it is.')
    .example('cellar cluster show evm-dev-a1b2c3', 'How is it, and where?')
    .action(async (name: string) => (await actions()).showCluster(context, name));
  change('start', 'Start a stopped cluster.').example('cellar cluster start evm-dev-a1b2c3', 'Go on with it');
  change('stop', 'Stop a cluster. Its data stay.').example('cellar cluster stop evm-dev-a1b2c3', 'Free its memory');
  change('restart', 'Stop and start all members of a cluster. Its data stay.').example(
    'cellar cluster restart evm-dev-a1b2c3',
    'Once more',
  );
  change('reset', 'Build a cluster anew: the same name, no data.')
    .option('--force', 'Also one that is used; its claim ends, unless it is yours.')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar cluster reset evm-dev-a1b2c3', 'Begin anew');
  change('delete', 'Delete a cluster with its data.')
    .aliases(['remove', 'rm'])
    .option('--force', 'Also one that is used; its claim ends.')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar cluster delete evm-dev-a1b2c3', 'Delete one');
  verb('logs', 'Show what the members of a cluster write.')
    .option('-f, --follow', 'Go on with what is still to come.')
    .option('-m, --member <name>', 'Only of this member.')
    .option('--tail <count>', 'How many lines of each to begin with; default: 100.', wholeNumber(1, 100_000))
    .example('cellar cluster logs -f evm-dev-a1b2c3', 'Watch what it does')
    .action(async (name: string, options: LogOptions) => (await actions()).showClusterLogs(context, name, options));
  verb('stats', 'Show what the members of a cluster use.')
    .option('-f, --follow', 'Every second.')
    .example('cellar cluster stats evm-dev-a1b2c3', 'How much memory?')
    .action(async (name: string, options: { follow?: boolean }) => (await actions()).showClusterStats(context, name, options));
  verb('exec', 'Run a command in a member, where its host allows. Exits with what the command exits with.')
    .argument('<member>', 'as "cellar cluster show" names it')
    .argument('<command...>', 'after --')
    .example('cellar cluster exec evm-dev-a1b2c3 node -- ls -l data', 'Look around')
    .action(async (name: string, member: string, command: string[]) =>
      (await actions()).execInCluster(context, name, member, command),
    );
  verb('dump', 'Write all that whoever helps needs to see to an archive: record, plan, events, logs; without secrets.')
    .option('-o, --output <file>', 'Where to; "-" is standard output. Default: the name of the cluster with .tar.gz.')
    .completesOptions({ output: 'local-path' })
    .example('cellar cluster dump evm-dev-a1b2c3', 'Ask for help')
    .action(async (name: string, options: { output?: string }) =>
      (await import('../actions/dump-cluster.ts')).dumpCluster(context, name, options),
    );
  registerSnapshots(cluster as CliCommand, context);
  verb('connection', 'Show all that a client needs to connect: addresses, passwords, files.')
    .option('-o, --out <dir>', 'Write the files to this folder, for this account only.')
    .completesOptions({ out: 'local-path' })
    .example('cellar cluster connection evm-dev-a1b2c3', 'What do I need?')
    .action(async (name: string, options: { out?: string }) =>
      (await import('../actions/connection-bundle.ts')).showConnection(context, name, options),
    );
}

function registerSnapshots(cluster: CliCommand, context: CliContext): void {
  const snapshot = cluster.command('snapshot').description('What the volumes of a cluster held, to go back to.');
  const actions = () => import('../actions/cluster-snapshots.ts');
  const one = (name: string, description: string): CliCommand =>
    snapshot
      .command(name)
      .description(description)
      .argument('<name>', 'cluster')
      .argument('<snapshot>', 'as `list` shows it')
      .completes('cluster', 'none')
      .option('-y, --yes', 'Do not ask.') as CliCommand;

  snapshot
    .command('create')
    .description('Stop all members of a cluster, save their volumes, and start them again.')
    .argument('<name>', 'cluster')
    .completes('cluster', 'none')
    .option('--name <name>', 'Default: one is made up of the time.')
    .option('--no-wait', 'Return when the work has begun.')
    .example('cellar cluster snapshot create etcd-a1b2c3 --name before-upgrade', 'Keep how it is')
    .action(async (name: string, options: { name?: string; wait?: boolean }) =>
      (await actions()).takeSnapshot(context, name, options),
    );
  snapshot
    .command('list')
    .alias('ls')
    .description('List snapshots of one cluster, or of all.')
    .argument('[name]', 'cluster')
    .completes('cluster', 'none')
    .example('cellar cluster snapshot list', 'What is there to go back to?')
    .action(async (name: string | undefined) => (await actions()).listClusterSnapshots(context, name));
  snapshot
    .command('download')
    .description('Write a snapshot to an archive. It may hold keys that members have written.')
    .argument('<name>', 'cluster')
    .argument('<snapshot>', 'as `list` shows it')
    .completes('cluster', 'none')
    .option(
      '-o, --output <file>',
      'Where to; "-" is standard output. Default: the names of the cluster and the snapshot, with .tar.',
    )
    .completesOptions({ output: 'local-path' })
    .example('cellar cluster snapshot download etcd-a1b2c3 before-upgrade', 'Keep it elsewhere')
    .action(async (name: string, which: string, options: { output?: string }) =>
      (await actions()).downloadClusterSnapshot(context, name, which, options),
    );
  one('restore', 'Stop all members of a cluster, put back what their volumes held, and start them again.')
    .option('--into <cluster>', 'Into this one instead, of the same blueprint and parameters; it gets the keys of then too.')
    .option('--no-wait', 'Return when the work has begun.')
    .completesOptions({ into: 'cluster' })
    .example('cellar cluster snapshot restore etcd-a1b2c3 before-upgrade', 'Go back')
    .example('cellar cluster snapshot restore evm-dev-a1b2c3 seed --into evm-dev-d4e5f6', 'Have the same chain twice')
    .action(async (name: string, which: string, options: { yes?: boolean; wait?: boolean; into?: string }) =>
      (await actions()).restoreClusterSnapshot(context, name, which, options),
    );
  one('delete', 'Delete a snapshot.')
    .alias('rm')
    .example('cellar cluster snapshot delete etcd-a1b2c3 before-upgrade', 'Delete one')
    .action(async (name: string, which: string, options: { yes?: boolean }) =>
      (await actions()).deleteClusterSnapshot(context, name, which, options),
    );
}
