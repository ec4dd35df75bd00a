import { Option } from 'commander';
import type { HostOptions } from '../actions/hosts.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';
import { wholeNumber } from '../whole-number.ts';
import { hostTypes, listing } from './hosts.ts';

interface Options {
  readonly wait: boolean;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly probe?: boolean;
  readonly deadline?: string;
}

export function register(program: CliCommand, context: CliContext): void {
  const host = program
    .command('host')
    .helpGroup('Clusters:')
    .description('Places with capacity, on which clusters run.')
    .example('cellar host add local --type process --capacity 3 --template evm-dev', 'Run three clusters on this machine');
  const actions = () => import('../actions/hosts.ts');

  /** A verb about one host. */
  const verb = (name: string, description: string): CliCommand =>
    host.command(name).description(description).argument('<name>', 'host').completes('host', 'none') as CliCommand;
  const noWait = ['--no-wait', 'Return when the work has begun.'] as const;
  const yes = ['-y, --yes', 'Do not ask.'] as const;
  const specOptions = (command: CliCommand): CliCommand =>
    command
      .option('--capacity <count>', 'Most clusters at a time.', wholeNumber(0, 100_000))
      .option(
        '--weight <count>',
        'Most weight of all clusters together, as blueprints weigh them; 0: no limit.',
        wholeNumber(0, 4e9),
      )
      .option('--template <blueprint>', 'What is built: BLUEPRINT[,name=value...]; several are tried in order.', collect)
      .option('--autofill', 'Always keep clusters ready.')
      .option('--warm <count>', 'With autofill: so many free ones; 0: as many as fit.', wholeNumber(0, 100_000))
      .option('--label <name=value>', 'For choosing among hosts; may be given several times.', collect)
      .option('--ports <first-last>', 'Ports that members may be given; default: 20000-29999.')
      .option(
        '--credentials <folder>',
        'Folder with keys and certificates, below "credentials" of the service that runs members.',
      )
      .completesOptions({ template: 'blueprint' }) as CliCommand;

  specOptions(
    host
      .command('add')
      .alias('create')
      .description('Add a host. It is asked first; when it does not answer, nothing is added.')
      .argument('<name>', 'lower-case letters, digits and dashes')
      .completes('none')
      .addOption(new Option('--type <type>', 'What runs the clusters there.').choices(hostTypes).makeOptionMandatory())
      .option(
        '--address <address>',
        'Of its engine: unix:///path or tcp://machine:port; those of several nodes with commas between.',
      )
      .addOption(
        new Option('--agent <place>', 'What reaches its engine: the platform itself, or an agent there that dials in.')
          .choices(['platform', 'remote'])
          .default('platform'),
      ) as CliCommand,
  )
    .example('cellar host add local --type process --capacity 3 --template evm-dev', 'Local processes, three clusters at most')
    .example(
      'cellar host add d1 --type docker --address tcp://10.0.0.5:2376 --credentials d1 --autofill --template evm-dev',
      'A Docker engine',
    )
    .action(async (name: string, options: HostOptions) => (await actions()).addHost(context, name, options));
  listing(host.command('list').alias('ls') as CliCommand, context).example('cellar host list', 'All hosts');
  verb('show', 'Show one host.')
    .option('--probe', 'Ask its engine now, instead of telling what was last seen.')
    .example('cellar host show local --probe', 'How is it now?')
    .action(async (name: string, options: Options) => (await actions()).showHost(context, name, options));
  specOptions(verb('update', 'Change a host. Labels and templates replace those it has.'))
    .option('--no-autofill', 'Build clusters only when asked to.')
    .example('cellar host update local --capacity 5', 'Room for two more')
    .action(async (name: string, options: HostOptions, command: CliCommand) => {
      // Commander takes the absence of --no-autofill for --autofill.
      const { autofill, ...rest } = options;
      const isGiven = command.getOptionValueSource('autofill') === 'cli';
      await (await actions()).updateHost(context, name, isGiven && autofill !== undefined ? { ...rest, autofill } : rest);
    });
  verb('cordon', 'Give out and build no clusters there. Those that are used go on.')
    .example('cellar host cordon local', 'Before work on the machine')
    .action(async (name: string) => (await actions()).setCordoned(context, name, true));
  verb('uncordon', 'Give out and build clusters there again.')
    .example('cellar host uncordon local', 'After it')
    .action(async (name: string) => (await actions()).setCordoned(context, name, false));
  verb('drain', 'Cordon a host and wait until its used clusters are released.')
    .option('--deadline <time>', 'Wait at most so long, such as 30m.')
    .option(...noWait)
    .example('cellar host drain local --deadline 2h', 'Wait until nobody uses it')
    .action(async (name: string, options: Options) => (await actions()).drainHost(context, name, options));
  verb('fillup', 'Build clusters until the capacity is reached.')
    .argument('[blueprint]', 'BLUEPRINT[,name=value...]; default: the templates of the host')
    .completes('host', 'blueprint', 'none')
    .option(...noWait)
    .example('cellar host fillup local', 'Have clusters ready')
    .example('cellar host fillup local evm-dev,chainId=5', 'Of a blueprint of your choice')
    .action(async (name: string, template: string | undefined, options: Options) =>
      (await actions()).fillupHost(context, name, template, options),
    );
  verb('clean', 'Delete the free clusters of a host. Used ones are left alone.')
    .option(...yes)
    .option(...noWait)
    .example('cellar host clean local --yes', 'Free its memory')
    .action(async (name: string, options: Options) => (await actions()).cleanHost(context, name, options));
  verb('reset', 'Build all clusters of a host anew; refused while one is used.')
    .option(...yes)
    .option(...noWait)
    .example('cellar host reset local', 'Begin anew')
    .action(async (name: string, options: Options) => (await actions()).resetHost(context, name, options));
  verb('delete', 'Delete a host; refused while it has clusters.')
    .aliases(['remove', 'rm'])
    .option('--force', 'Delete its clusters too, and end their claims.')
    .option(...yes)
    .option(...noWait)
    .example('cellar host delete local --force', 'With all that is there')
    .action(async (name: string, options: Options) => (await actions()).deleteHost(context, name, options));
}
