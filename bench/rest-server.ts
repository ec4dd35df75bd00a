/**
 * One server of the REST benchmark: `node rest-server.ts fastify | same | forked | service PATH`. Prints `{"port", "token"}` when
 * it listens, and `{"gateway", "service"}`, the processor time each process has used so far in microseconds, for each line it reads.
 *
 * `same` is the whole gateway with identity, a signed-in user and policies, and the service in its process; `forked` has the
 * service in a process of its own. `fastify` checks and answers the same bodies by JSON Schema and knows no users.
 */
import { spawn } from 'node:child_process';
import { on } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fastify from 'fastify';
import { webGateway } from '../src/gateways/web/main.ts';
import { createServer } from '../src/gateways/web/server.ts';
import { Sessions } from '../src/gen/cellar/identity/v1/credentials_pb.ts';
import { RestSample } from '../src/gen/cellar/testing/v1/rest_pb.ts';
import { policyStore } from '../src/identity/policies/main.ts';
import { policies } from '../src/identity/policies-rest/main.ts';
import { firstLogin } from '../src/identity/users/first-login.ts';
import { users } from '../src/identity/users/main.ts';
import { anybody } from '../src/kernel/calls/caller.ts';
import { createClient } from '../src/kernel/calls/client.ts';
import { Dispatcher } from '../src/kernel/calls/dispatcher.ts';
import { Endpoint } from '../src/kernel/calls/endpoint.ts';
import { silentLog } from '../src/kernel/log.ts';
import { sampleService } from '../src/kernel/rest/testing/sample-service.ts';
import { defineService, type Micro, type ServiceDefinition } from '../src/kernel/services/service.ts';
import { startTestPlatform } from '../src/kernel/testing/platform.ts';
import { createLocalChannel } from '../src/kernel/transports/local/channel.ts';
import { serveLocal } from '../src/kernel/transports/local/server.ts';

const name = 'cellar.grpc.bench.sample';
const [kind = '', path = ''] = process.argv.slice(2);
const say = (value: unknown): unknown => process.stdout.write(`${JSON.stringify(value)}\n`);
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
/** Processor time of the service's process, when it has its own. */
let serviceCpuUs: (() => Promise<number>) | undefined;
createInterface({ input: process.stdin }).on('line', async () =>
  say({ gateway: cpuUs(), service: (await serviceCpuUs?.()) ?? 0 }),
);

if (kind === 'service') {
  const endpoint = new Endpoint();
  endpoint.add(new Dispatcher([sampleService().binding], { service: name, log: silentLog }));
  await serveLocal(endpoint, { path });
  say({ port: 0, token: '' });
} else if (kind === 'fastify') await serveFastify();
else await serveGateway(kind === 'forked');

async function serveGateway(isForked: boolean): Promise<void> {
  const sample = defineService({
    name,
    description: 'Echoes.',
    contracts: [RestSample],
    settings: {},
    needs: [],
    placement: 'main',
    start: async () => ({ bindings: [sampleService().binding] }),
  });
  const away = isForked ? await startService() : undefined;
  const gateway: ServiceDefinition = {
    ...webGateway,
    start: (micro) => {
      const client: Micro['client'] = (desc, request) =>
        away && desc.typeName === RestSample.typeName
          ? createClient(desc, { route: () => ({ channel: away, service: name }), via: micro.name })
          : micro.client(desc, request);
      return createServer(Object.create(micro, { client: { value: client } }) as Micro<never>, { contracts: [RestSample] });
    },
  };
  const definitions = [users, policyStore, policies, gateway, ...(isForked ? [] : [sample])];
  const platform = await startTestPlatform(
    definitions.map((definition) => ({ definition, instance: '', plan: undefined })),
    { settings: { 'cellar.gateway.web': { port: 0 } } },
  );
  const login = await firstLogin(platform.home);
  if (!login) throw new Error('There is no first login');
  const { token } = await platform.client(Sessions, anybody).login(login);
  const url = platform.started.find((one) => one.name === 'cellar.gateway.web')?.running.url ?? '';
  process.once('SIGTERM', () => void platform.stop().then(() => process.exit(0)));
  say({ port: Number(new URL(url).port), token });
}

async function startService() {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const socket = join(folder, 's.sock');
  const child = spawn(process.execPath, [import.meta.filename, 'service', socket], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = on(createInterface({ input: child.stdout }), 'line');
  await lines.next();
  serviceCpuUs = async () => {
    child.stdin.write('\n');
    const { value } = (await lines.next()) as { value: [string] };
    return (JSON.parse(value[0]) as { gateway: number }).gateway;
  };
  process.once('exit', () => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return createLocalChannel({ path: socket });
}

async function serveFastify(): Promise<void> {
  const child = {
    type: 'object',
    properties: { name: { type: 'string', maxLength: 100 }, sizeBytes: { type: 'string', pattern: '^\\d+$' } },
  };
  const sample = {
    type: 'object',
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      flag: { type: 'boolean' },
      count: { type: 'integer', minimum: 0 },
      big: { type: 'string', pattern: '^-?\\d+$' },
      color: { type: 'string', enum: ['COLOR_UNSPECIFIED', 'COLOR_RED', 'COLOR_GREEN'] },
      child,
      tags: { type: 'array', items: { type: 'string' } },
      createTime: { type: 'string', format: 'date-time' },
    },
  };
  const app = fastify();
  app.post('/api/v1/samples:echo', { schema: { body: sample, response: { 200: sample } } }, async (request) => request.body);
  const named = { type: 'object', properties: { name: { type: 'string' } } };
  app.get(
    '/api/v1/samples/:name',
    { schema: { params: named, querystring: sample, response: { 200: sample } } },
    async (request) => ({
      ...(request.query as object),
      ...(request.params as object),
    }),
  );
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  say({ port: Number(new URL(address).port), token: '' });
}
