import type { RunAgentOptions } from '../actions/agents.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';

export function register(program: CliCommand, context: CliContext): void {
  const agent = program
    .command('agent')
    .helpGroup('Clusters:')
    .description('Agents beside their hosts: on machines that the platform cannot reach, and which dial in instead.')
    .example('cellar agent enrol far --out far.pem', 'On the platform: what the agent of host "far" dials in with')
    .example('cellar agent run --platform cellar.example.org:7072 --bundle far.pem', 'On the other machine')
    .example('cellar host add far --type process --agent remote --capacity 3', 'On the platform: use it');
  const actions = () => import('../actions/agents.ts');

  agent
    .command('enrol')
    .description(
      'Make the bundle an agent dials in with. It is a secret: carry it there safely. The one made for the host before is refused from then on.',
    )
    .argument('<host>', 'name of the host that the agent may serve')
    .completes('none')
    .option('--days <count>', 'How long its certificate lasts. [setting agents.days]', wholeNumber(1, 3650))
    .option('-o, --out <file>', 'Write it to a file, with mode 0600; default: standard output.')
    .example('cellar agent enrol far --out far.pem', 'For the host "far"')
    .action(async (host: string, options: { days?: number; out?: string }) =>
      (await actions()).enrolAgent(context, host, options),
    );
  agent
    .command('run')
    .description('Run the agent of a host on this machine, until Ctrl-C or "cellar stop". It keeps what it runs in its home.')
    .completes('none')
    .requiredOption('--platform <host:port>', 'Where the platform listens for agents: its setting agents.listen.')
    .requiredOption('--bundle <file>', 'What "cellar agent enrol" has made; read anew for each connection.')
    .example(
      'cellar agent run --platform cellar.example.org:7072 --bundle far.pem --home /srv/cellar-agent',
      'Run clusters here for a platform elsewhere',
    )
    .action(async (options: RunAgentOptions) => (await actions()).runAgent(context, options));
  agent
    .command('list')
    .alias('ls')
    .description('List the agents that are enrolled, and whether they are connected.')
    .completes('none')
    .example('cellar agent list', 'All agents')
    .action(async () => (await actions()).listAgents(context));
  agent
    .command('revoke')
    .description('Refuse the certificate of an agent from now on. Deleting its host does it too.')
    .argument('<host>', 'host')
    .completes('host', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar agent revoke far --yes', 'Its bundle was lost')
    .action(async (host: string, options: { yes?: boolean }) => (await actions()).revokeAgent(context, host, options));
}
