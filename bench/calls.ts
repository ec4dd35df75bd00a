/** How fast calls are: in one process, beside Connect's in-memory transport, and between two, beside `@grpc/grpc-js`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { createClient as createConnectClient, createRouterTransport } from '@connectrpc/connect';
import { ChannelCredentials, Client as GrpcClient } from '@grpc/grpc-js';
import { Conformance, type Packet, PacketSchema } from '../src/gen/cellar/testing/v1/conformance_pb.ts';
import type { Channel } from '../src/kernel/calls/channel.ts';
import { createClient } from '../src/kernel/calls/client.ts';
import { createDirectChannel } from '../src/kernel/calls/direct.ts';
import { Endpoint } from '../src/kernel/calls/endpoint.ts';
import { createLocalChannel } from '../src/kernel/transports/local/channel.ts';
import { addBenchService, benchCaller, benchService, smallPacket } from './calls-service.ts';
import { isQuick, median, quantile, report } from './report.ts';

const runs = isQuick ? 3 : 7;
const runMs = isQuick ? 400 : 1500;

type Call = (request: Packet) => Promise<Packet>;

interface Contender {
  readonly name: string;
  readonly call: Call;
  /** By run. */
  readonly together: number[];
  readonly alone: number[];
  readonly p50Ms: number[];
  readonly p99Ms: number[];
}

const contender = (name: string, call: Call): Contender => ({ name, call, together: [], alone: [], p50Ms: [], p99Ms: [] });

/** Calls per second with so many under way. */
async function rate(call: Call, inFlight: number, ms: number): Promise<number> {
  const request = smallPacket();
  const startMs = performance.now();
  const endMs = startMs + ms;
  let calls = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await call(request);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return (calls / (performance.now() - startMs)) * 1000;
}

async function latencies(call: Call, ms: number): Promise<number[]> {
  const request = smallPacket();
  const taken: number[] = [];
  const endMs = performance.now() + ms;
  for (let beganMs = performance.now(); beganMs < endMs; beganMs = performance.now()) {
    await call(request);
    taken.push(performance.now() - beganMs);
  }
  return taken;
}

/** One run of each in turn, so that what else the machine does falls on all alike. The first run warms up and does not count. */
async function compete(contenders: readonly Contender[]): Promise<void> {
  for (let run = 0; run <= runs; run++) {
    for (const { call, together, alone, p50Ms, p99Ms } of contenders) {
      const inFlight = await rate(call, 64, runMs);
      const taken = await latencies(call, runMs / 2);
      if (run === 0) continue;
      together.push(inFlight);
      alone.push((taken.length / (runMs / 2)) * 1000);
      p50Ms.push(quantile(taken, 0.5));
      p99Ms.push(quantile(taken, 0.99));
    }
  }
}

async function startServer(kind: string, path: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'calls-server.ts'), kind, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
}

function cellarClient(channel: Channel) {
  return createClient(Conformance, { route: () => ({ channel, service: benchService }), caller: benchCaller });
}

const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
const endpoint = new Endpoint();
const { observed } = addBenchService(endpoint);
const inProcess = cellarClient(createDirectChannel(endpoint));
const router = createConnectClient(
  Conformance,
  createRouterTransport(({ service }) => void service(Conformance, { echo: (request) => request })),
);
const direct = contender('one process: Cellar, all checks, observed', (request) => inProcess.echo(request));
const connect = contender('one process: Connect router transport', (request) => router.echo(request));

const localPath = join(folder, 'local.sock');
const grpcPath = join(folder, 'grpc.sock');
const stopLocal = await startServer('cellar', localPath);
const stopGrpc = await startServer('grpc-js', grpcPath);
const channel = createLocalChannel({ path: localPath });
const twoProcesses = cellarClient(channel);
const grpcClient = new GrpcClient(`unix:${grpcPath}`, ChannelCredentials.createInsecure());
const local = contender('two processes: Cellar local, all checks, observed', (request) => twoProcesses.echo(request));
const grpc = contender(
  'two processes: @grpc/grpc-js, bare handler',
  (request) =>
    new Promise((resolve, reject) => {
      grpcClient.makeUnaryRequest(
        `/${Conformance.typeName}/Echo`,
        (packet: Packet) => Buffer.from(toBinary(PacketSchema, packet)),
        (bytes: Buffer) => fromBinary(PacketSchema, bytes),
        request,
        (error, answer) => (error || !answer ? reject(error) : resolve(answer)),
      );
    }),
);

await compete([direct, connect]);
await compete([local, grpc]);

const streamed: number[] = [];
for (let run = 0; run <= runs; run++) {
  const count = isQuick ? 20_000 : 100_000;
  const startMs = performance.now();
  for await (const _ of twoProcesses.count({ count, size: 100 }));
  if (run > 0) streamed.push((count / (performance.now() - startMs)) * 1000);
}

await channel.close();
grpcClient.close();
await Promise.all([stopLocal(), stopGrpc()]);
rmSync(folder, { recursive: true, force: true });
if (observed() === 0) throw new Error('no call was observed');

const ratio = (a: readonly number[], b: readonly number[]): number => median(a) / median(b);
const inProcessRate = median(direct.together);
const overConnect = ratio(direct.together, connect.together);
const overGrpc = ratio(local.together, grpc.together);
const p50OfGrpc = ratio(local.p50Ms, grpc.p50Ms);
report('calls', {
  columns: ['small call (about 200 B)', '64 in flight, calls/s', 'alone, calls/s', 'alone, p50 ms', 'alone, p99 ms'],
  rows: [
    ...[direct, connect, local, grpc].map(({ name, together, alone, p50Ms, p99Ms }) => [
      name,
      median(together),
      median(alone),
      median(p50Ms),
      median(p99Ms),
    ]),
    ['two processes: Cellar local, stream of 100 B messages, messages/s', median(streamed), '', '', ''],
  ],
  claims: [
    { what: 'call in one process, calls/s', target: '>= 200 000', measured: inProcessRate, holds: inProcessRate >= 200_000 },
    { what: "the same, times Connect's in-memory transport", target: '>= 10', measured: overConnect, holds: overConnect >= 10 },
    { what: 'call between two processes, 64 in flight, times grpc-js', target: '>= 6', measured: overGrpc, holds: overGrpc >= 6 },
    { what: 'the same alone, p50 as a share of that of grpc-js', target: '<= 0.5', measured: p50OfGrpc, holds: p50OfGrpc <= 0.5 },
  ],
});
