import { access } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Puppet } from '#gen/cellar/testing/v1/puppet_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { failedPrecondition, invalidArgument, unavailable } from '#kernel/fault.ts';
import { defineService, type Micro, type Running, type ServiceDefinition } from '#kernel/services/service.ts';
import { integer, type SettingsOf } from '#kernel/settings/setting.ts';

const settings = {
  live: integer({ default: 1, min: 0, max: 100, meaning: 'Followed.' }),
  fixed: integer({ default: 1, min: 0, max: 100, meaning: 'Kept.', needsRestart: true }),
};

/** One of a kind, in the main process. */
export const keeper: ServiceDefinition = defineService({
  name: 'cellar.grpc.keeper',
  description: 'A well-behaved puppet of the main process.',
  contracts: [],
  section: 'puppet',
  settings: {},
  needs: ['cellar.grpc.puppets'],
  placement: 'main',
  start: async () => ({ bindings: [] }),
});

/** One per datasource, each in its own process. Starts only where its folder exists. */
export const puppets: ServiceDefinition = defineService({
  name: 'cellar.grpc.puppets',
  description: 'Puppets that misbehave when asked to.',
  contracts: [Puppet],
  section: 'puppets',
  settings,
  needs: [],
  placement: 'fork',
  hasInstances: true,
  hasHttp: true,
  start: startPuppet,
});

async function startPuppet(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { folder } = micro.plan as { readonly folder: string };
  try {
    await access(folder);
  } catch (cause) {
    throw failedPrecondition(`its folder ${folder} is missing`, { cause });
  }
  const hoard: Buffer[] = [];
  let illness = '';
  let isStubborn = false;
  const answers: Readonly<Record<string, (argument: string) => string | Promise<string>>> = {
    pid: () => '',
    crash: () => {
      setImmediate(() => {
        throw new Error('crashed as asked');
      });
      return '';
    },
    exit: (argument) => process.exit(Number(argument)),
    hang: (argument) => {
      setImmediate(() => {
        const endMs = Date.now() + Number(argument);
        while (Date.now() < endMs);
      });
      return '';
    },
    leak: (argument) => {
      for (let size = 0; size < Number(argument); size++) hoard.push(Buffer.alloc(1_048_576, 1));
      return String(hoard.length);
    },
    ill: (argument) => {
      illness = argument;
      return '';
    },
    stubborn: () => {
      isStubborn = true;
      return '';
    },
    settings: () => JSON.stringify(micro.settings),
    plan: () => JSON.stringify(micro.plan),
    count: () => {
      micro.metrics.counter('puppet_counts_total', 'Times counted.').add();
      return '';
    },
    print: (argument) => {
      process.stdout.write(`${argument}\n`);
      return '';
    },
    // Another puppet, asked through the registry of this process.
    ask: async (argument) => {
      const other = micro.client(Puppet, { service: `cellar.grpc.puppets.${argument}` });
      return String((await other.act({ verb: 'pid' })).pid);
    },
  };
  return {
    bindings: [
      implement(Puppet, {
        act: async ({ verb, argument }) => {
          const answer = answers[verb];
          if (!answer) throw invalidArgument(`Cannot act "${verb}": it is no verb`);
          return { pid: process.pid, answer: await answer(argument) };
        },
      }),
    ],
    http: answerHttp,
    check: async () => {
      if (illness) throw unavailable(illness);
    },
    stop: async () => {
      if (isStubborn) await new Promise(() => setInterval(() => undefined, 1000));
    },
  };
}

/** `/echo` sends the body back, `/refuse` answers without reading it, `/die` ends the process, `/half` does so in the middle of an answer. */
function answerHttp(request: IncomingMessage, response: ServerResponse): void {
  switch (request.url) {
    case '/echo':
      response.writeHead(200, { 'x-host': request.headers.host ?? '', 'content-type': 'application/octet-stream' });
      request.pipe(response);
      return;
    case '/refuse':
      response.writeHead(403, { connection: 'close' }).end('no');
      return;
    case '/die':
      process.exit(3);
      return;
    case '/half':
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half', () => process.exit(3));
      return;
    default:
      response.writeHead(404).end();
  }
}
