/** How fast REST is: the gateway with sign-in and policies, beside bare Fastify that only checks the same bodies. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { on } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isQuick, median, report } from './report.ts';

const runs = isQuick ? 3 : 7;
const runMs = isQuick ? 1000 : 4000;
const connections = 32;
const kinds = ['fastify', 'same', 'forked'] as const;
type Kind = (typeof kinds)[number];

const labels: Record<Kind, string> = {
  fastify: 'fastify, schema validation only',
  same: 'gateway, service in the same process',
  forked: 'gateway, service in its own process',
};

const body = JSON.stringify({
  name: 'reports/2026.pdf',
  flag: true,
  count: 42,
  big: '9007199254740993',
  color: 'COLOR_GREEN',
  child: { name: 'inner', sizeBytes: '123456789' },
  tags: ['alpha', 'beta'],
  createTime: '2026-11-20T12:00:00Z',
});

interface Asked {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

const asked: readonly Asked[] = [
  { name: `POST, ${body.length} B in and out`, method: 'POST', path: '/api/v1/samples:echo', body },
  { name: 'GET, path and query', method: 'GET', path: '/api/v1/samples/ann?count=42&flag=true&color=COLOR_RED', body: '' },
];

interface Server {
  readonly kind: Kind;
  readonly port: number;
  readonly token: string;
  readonly child: ChildProcess;
  /** Processor time used so far. Unit: microseconds. */
  readonly cpuUs: () => Promise<Cpu>;
}

interface Cpu {
  readonly gateway: number;
  readonly service: number;
}

async function start(kind: Kind): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'rest-server.ts'), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = on(createInterface({ input: child.stdout }), 'line');
  const read = async (): Promise<unknown> => JSON.parse(((await lines.next()) as { value: [string] }).value[0]);
  const { port, token } = (await read()) as { port: number; token: string };
  const cpuUs = (): Promise<Cpu> => {
    child.stdin.write('\n');
    return read() as Promise<Cpu>;
  };
  return { kind, child, port, token, cpuUs };
}

const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

function load({ port, token }: Server, { method, path, body: sent }: Asked, ms: number): number {
  const headers: [string, string][] = [
    ['authorization', `Bearer ${token}`],
    ...(sent ? ([['content-type', 'application/json']] as [string, string][]) : []),
  ];
  if (hasWrk) {
    const script = join(folder, 'ask.lua');
    const lines = headers.map(([name, value]) => `wrk.headers["${name}"] = "${value}"`);
    writeFileSync(script, [`wrk.method = "${method}"`, `wrk.body = ${sent ? JSON.stringify(sent) : 'nil'}`, ...lines].join('\n'));
    const args = ['-t1', `-c${connections}`, `-d${ms / 1000}s`, '-s', script, `http://127.0.0.1:${port}${path}`];
    const { stdout } = spawnSync('wrk', args, { encoding: 'utf8' });
    if (/Non-2xx/.test(stdout)) throw new Error(`The server refused:\n${stdout}`);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]);
  }
  const head = [`${method} ${path} HTTP/1.1`, 'host: 127.0.0.1', ...headers.map(([name, value]) => `${name}: ${value}`)];
  const request = `${[...head, `content-length: ${sent.length}`].join('\r\n')}\r\n\r\n${sent}`;
  const args = [join(import.meta.dirname, 'http-load.ts'), String(port), String(connections), String(ms)];
  const { stdout } = spawnSync(process.execPath, args, { input: request, encoding: 'utf8' });
  return (JSON.parse(stdout) as { perSecond: number }).perSecond;
}

/** Load with the processor time that each request of it took. */
async function measure(server: Server, one: Asked): Promise<Measured> {
  const before = await server.cpuUs();
  const perSecond = load(server, one, runMs);
  const requests = (perSecond * runMs) / 1000;
  const after = await server.cpuUs();
  return {
    perSecond,
    gatewayUs: (after.gateway - before.gateway) / requests,
    serviceUs: (after.service - before.service) / requests,
  };
}

interface Measured {
  readonly perSecond: number;
  /** Processor time per request. Unit: microseconds. */
  readonly gatewayUs: number;
  readonly serviceUs: number;
}

const servers = await Promise.all(kinds.map(start));
try {
  const rows: (string | number)[][] = [];
  const shares: Record<Kind, number[]> = { fastify: [], same: [], forked: [] };
  for (const one of asked) {
    const measured: Record<Kind, Measured[]> = { fastify: [], same: [], forked: [] };
    for (const server of servers) load(server, one, runMs / 2);
    // In turns: what else the machine does hits all of them.
    for (let run = 0; run < runs; run++) for (const server of servers) measured[server.kind].push(await measure(server, one));
    const middle = (kind: Kind, name: keyof Measured): number => median(measured[kind].map((run) => run[name]));
    for (const kind of kinds) {
      const share = (middle(kind, 'perSecond') / middle('fastify', 'perSecond')) * 100;
      shares[kind].push(share);
      const [gatewayUs, serviceUs] = [middle(kind, 'gatewayUs'), middle(kind, 'serviceUs')];
      rows.push([one.name, labels[kind], Math.round(middle(kind, 'perSecond')), Math.round(share), gatewayUs, serviceUs]);
    }
  }
  const claim = (kind: Kind, least: number) => {
    const measured = Math.min(...shares[kind]);
    return {
      what: `${labels[kind]}, share of Fastify's requests/s, %`,
      target: `>= ${least}`,
      measured,
      holds: measured >= least,
    };
  };
  report('rest', {
    columns: ['request', 'server', 'requests/s', '% of fastify', 'CPU us/request, gateway', 'CPU us/request, service'],
    rows,
    claims: [claim('same', 60), claim('forked', 40)],
  });
} finally {
  for (const { child } of servers) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
