import manifest from '../../package.json' with { type: 'json' };
import { CliCommand, type CommandModule } from './command.ts';
import type { Context } from './context.ts';

/** Every command by its word, in the order of the help. Each is loaded only when it may be meant. */
export const commandModules: Readonly<Record<string, () => Promise<CommandModule>>> = {
  start: () => import('./commands/start.ts'),
  stop: () => import('./commands/stop.ts'),
  status: () => import('./commands/status.ts'),
  ps: () => import('./commands/ps.ts'),
  logs: () => import('./commands/logs.ts'),
  config: () => import('./commands/config.ts'),
  machine: () => import('./commands/machine.ts'),
  login: () => import('./commands/login.ts'),
  logout: () => import('./commands/logout.ts'),
  whoami: () => import('./commands/whoami.ts'),
  ls: () => import('./commands/ls.ts'),
  stat: () => import('./commands/stat.ts'),
  cat: () => import('./commands/cat.ts'),
  cp: () => import('./commands/cp.ts'),
  mv: () => import('./commands/mv.ts'),
  rm: () => import('./commands/rm.ts'),
  mkdir: () => import('./commands/mkdir.ts'),
  datasource: () => import('./commands/datasource.ts'),
  apply: () => import('./commands/apply.ts'),
  release: () => import('./commands/release.ts'),
  renew: () => import('./commands/renew.ts'),
  claims: () => import('./commands/claims.ts'),
  clusters: () => import('./commands/clusters.ts'),
  cluster: () => import('./commands/cluster.ts'),
  hosts: () => import('./commands/hosts.ts'),
  host: () => import('./commands/host.ts'),
  agent: () => import('./commands/agent.ts'),
  blueprints: () => import('./commands/blueprints.ts'),
  blueprint: () => import('./commands/blueprint.ts'),
  events: () => import('./commands/events.ts'),
  operations: () => import('./commands/operations.ts'),
  operation: () => import('./commands/operation.ts'),
  webhooks: () => import('./commands/webhooks.ts'),
  webhook: () => import('./commands/webhook.ts'),
  fleet: () => import('./commands/fleet.ts'),
  user: () => import('./commands/user.ts'),
  token: () => import('./commands/token.ts'),
  key: () => import('./commands/key.ts'),
  policy: () => import('./commands/policy.ts'),
  service: () => import('./commands/service.ts'),
  completion: () => import('./commands/completion.ts'),
  help: () => import('./commands/help.ts'),
};

/** The command tree. With `args` only the commands these words may mean are in it; without, all. */
export async function createProgram(args: readonly string[] | undefined, context: Context): Promise<CliCommand> {
  const { stdout, stderr } = context.output;
  const program = new CliCommand('cellar')
    .description('Cellar: files on your own disks, served by browser, REST, S3 and this command.')
    .version(manifest.version, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Show help.')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(stdout.columns || 100, 120) })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: () => undefined,
    })
    .exitOverride()
    .optionsGroup('Options of every command:')
    .option('--json', 'Print data as JSON, and errors as JSON on stderr.')
    .option('-q, --quiet', 'No messages and no progress; data and errors only.')
    .option('--home <dir>', 'Folder of the installation on this machine. [CELLAR_HOME, else ~/.cellar]')
    .option('--server <url>', 'Address of the server meant. [CELLAR_SERVER]')
    .option('--token-file <file>', 'File that holds the token to sign in with. [CELLAR_TOKEN holds the token itself]')
    .option('--as <user>', 'Act as this user; only on the machine of the installation, by the account that runs it.')
    .example('cellar start --datasource docs=/usr/share/doc', 'Serve a folder on http://127.0.0.1:8080')
    .example('cellar ls docs', 'What it holds')
    .example('cellar cp -r ./photos cellar:docs/photos', 'Upload a folder')
    .example('cellar apply evm-dev --wait 60', 'Have a cluster of your own')
    .example('cellar help exit-codes', 'What the exit codes mean');
  for (const word of wordsMeant(args)) {
    const module = await commandModules[word]?.();
    module?.register(program, context);
  }
  finish(program, program);
  return program;
}

// Any word of the line may be the command, since options of every command may stand before it.
function wordsMeant(args: readonly string[] | undefined): readonly string[] {
  const all = Object.keys(commandModules);
  const first = args?.[0];
  if (!args || first === undefined || first === 'help' || first === '__complete' || first === '-h' || first === '--help')
    return all;
  const isOptionFirst = first.startsWith('-');
  const meant = all.filter((word) => (isOptionFirst ? args.includes(word) : word === first));
  return meant.length > 0 ? meant : all;
}

/** What holds for every command: examples in the help, groups that say what they know, no surplus arguments. */
function finish(program: CliCommand, command: CliCommand): void {
  for (const child of command.commands as CliCommand[]) {
    child.optionsGroup('Options:').helpOption('-h, --help', 'Show help.');
    finish(program, child);
  }
  if (command.commands.length > 0) command.helpCommand(false);
  const { examples } = command;
  if (examples.length === 0) return;
  const wide = Math.max(...examples.map(({ line }) => line.length));
  const lines = examples.map(({ line, meaning }) => `  ${line.padEnd(wide)}  ${meaning}`);
  command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}
