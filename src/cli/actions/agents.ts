import { writeFile } from 'node:fs/promises';
import { toJson } from '@bufbuild/protobuf';
import { Agents, RemoteAgentSchema } from '#gen/cellar/fleet/v1/agents_pb.ts';
import type { CliContext } from '../command.ts';
import { formatAge, plural } from '../output/format.ts';
import { systemFault } from '../system-fault.ts';
import { allPages } from './all-pages.ts';
import { logLineText } from './log-line.ts';
import { client } from './support.ts';

export interface RunAgentOptions {
  readonly platform: string;
  readonly bundle: string;
}

/** Makes a bundle on the platform. It is the only copy: a file that cannot be written means to enrol again. */
export async function enrolAgent(context: CliContext, host: string, options: { days?: number; out?: string }): Promise<void> {
  const { output, signal } = context;
  const { bundle, listen } = await (await client(context, Agents)).enrolAgent({ host, days: options.days ?? 0 }, { signal });
  if (options.out === undefined) {
    output.result({ host, listen, bundle }, () => bundle.trimEnd());
    return;
  }
  try {
    await writeFile(options.out, bundle, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw systemFault('write', options.out, error);
  }
  output.result(
    { host, listen, file: options.out },
    () =>
      `Wrote ${options.out}. Carry it to the machine of ${host}, and run there:\n` +
      `  cellar agent run --platform HOST:${listen.slice(listen.lastIndexOf(':') + 1)} --bundle ${options.out}`,
  );
}

/** Serves a host on this machine until told to stop. */
export async function runAgent(context: CliContext, { platform, bundle }: RunAgentOptions): Promise<void> {
  const { output, home, env, signal } = context;
  const [agent, { catalogue }] = await Promise.all([import('#platform/run-agent.ts'), import('../../catalogue.ts')]);
  const isTerminal = output.stderr.isTTY === true;
  process.title = `cellar agent run --home ${home}`;
  // Whoever reads the messages may go away; the agent stays.
  process.stderr.on('error', () => undefined);
  let isTold = false;
  await agent.runAgent({
    ...{ home, catalogue, platform, bundle, signal, service: 'cellar.grpc.fleet.agent', environment: env },
    ...(output.isQuiet
      ? {}
      : { onLine: (line) => output.stderr.write(isTerminal ? logLineText(line, output.messageStyle) : line) }),
    onChange: ({ isConnected }) => {
      if (!isConnected || isTold) return;
      isTold = true;
      output.result({ platform, home, pid: process.pid }, () => `Connected to ${platform}.`);
    },
  });
  output.message('Stopped.');
}

export async function listAgents(context: CliContext): Promise<void> {
  const { output, signal } = context;
  const agents = await client(context, Agents);
  const found = await allPages(
    (page) => agents.listAgents(page, { signal }),
    (answer) => answer.agents,
  );
  output.table(
    found,
    [
      { title: 'host', value: ({ host }) => host },
      {
        title: 'state',
        value: ({ connected }) => (connected ? 'connected' : 'away'),
        paint: (word, { connected }) => (connected ? output.style.green(word) : output.style.red(word)),
      },
      { title: 'since', value: ({ changeTime }) => formatAge(changeTime, Date.now()) },
      {
        title: 'version',
        value: ({ version, missingMethods }) =>
          `${version}${missingMethods.length > 0 ? ` (lacks ${plural(missingMethods.length, 'method')})` : ''}`,
      },
      { title: 'from', value: ({ address }) => address },
      {
        title: 'certificate until',
        value: ({ expireTime }) => (expireTime ? new Date(Number(expireTime.seconds) * 1000).toISOString().slice(0, 10) : ''),
      },
      { title: 'why', value: ({ message }) => message },
    ],
    found.map((agent) => toJson(RemoteAgentSchema, agent, { alwaysEmitImplicit: true })),
  );
}

export async function revokeAgent(context: CliContext, host: string, { yes }: { yes?: boolean }): Promise<void> {
  await context.confirm(`Refuse the agent of host ${host} from now on?`, yes);
  await (await client(context, Agents)).revokeAgent({ host }, { signal: context.signal });
  context.output.message(`The certificate of the agent of host ${host} is refused from now on.`);
}
