import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as netConnect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import { postgresMissing, startPostgres, type TestPostgres } from '#kernel/testing/engines.ts';
import { command, waitUntil } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

// Two machines, each a network namespace with an address of its own, joined by a bridge. `front` has the gateway, users and policies,
// `store` the data. They share PostgreSQL, which they reach through a relay on the bridge, and nothing else but the network.
const skip = (await postgresMissing()) ?? namespacesMissing();
const id = process.pid % 10_000;
const net = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
const bridge = `cb${id}`;
const addresses = { host: `${net}.1`, front: `${net}.2`, store: `${net}.3` };
const services = {
  front: '[cellar.grpc.users, cellar.grpc.policies, cellar.rest.*, cellar.grpc.datasources, cellar.gateway.web]',
  store: '[cellar.grpc.data.*]',
};
type Name = 'front' | 'store';

let root: string;
let postgres: TestPostgres;
let relay: Server;
let database: string;
const running = new Map<Name, ChildProcess>();
const home = (name: Name): string => join(root, name);
const url = `http://${addresses.front}:8080`;
let token: string;

before(async () => {
  if (skip) return;
  root = mkdtempSync(join(tmpdir(), 'cellar-machines-'));
  mkdirSync(join(root, 'data/docs'), { recursive: true });
  writeFileSync(join(root, 'data/docs/hello.txt'), 'hello\n');
  makeNetwork();
  postgres = await startPostgres();
  const target = new URL(await postgres.createDatabase());
  const real = { port: Number(target.port), host: target.hostname };
  relay = createServer((socket) => {
    const upstream = netConnect(real);
    socket.pipe(upstream).pipe(socket);
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
  });
  relay.listen(0, addresses.host);
  await once(relay, 'listening');
  target.hostname = addresses.host;
  target.port = String((relay.address() as AddressInfo).port);
  database = target.href;
  for (const name of ['front', 'store'] as const) {
    mkdirSync(home(name));
    const bundle = name === 'store' ? `  bundle: ${join(root, 'store.pem')}\n` : '';
    writeFileSync(
      join(home(name), 'cellar.yaml'),
      `machine:\n  name: ${name}\n  listen: ${addresses[name]}:7070\n  services: ${services[name]}\n${bundle}` +
        `database: {url: "${database}"}\ngateway: {host: ${addresses.front}}\ndatasources: {docs: {folder: ${join(root, 'data/docs')}}}\n`,
    );
  }
  await cellar('front', 'machine', 'add', 'store', addresses.store, '--out', join(root, 'store.pem'));
  await Promise.all([start('front'), start('store')]);
  // Only who may see the platform hears in the answer of `/health/ready` which services there are.
  token = (JSON.parse(await cellar('front', 'token', 'create', '--json')) as { token: string }).token;
  await untilReady();
});

after(async () => {
  if (skip) return;
  for (const child of running.values()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  relay?.close();
  await postgres?.[Symbol.asyncDispose]();
  for (const name of ['front', 'store']) spawnSync('ip', ['netns', 'del', `${bridge}-${name}`]);
  spawnSync('ip', ['link', 'del', bridge]);
  if (root) rmSync(root, { recursive: true, force: true });
});

test('what one machine serves, the other has: REST, S3 and the command', { skip }, async () => {
  assert.equal(await (await rest('GET', '/api/v1/content/docs/hello.txt')).text(), 'hello\n');
  const key = JSON.parse(await cellar('front', 'key', 'create', '--json')) as { accessKey: string; secretKey: string };
  const s3 = signedFetch(url, key);
  const put = await s3('PUT', '/docs/s3.txt', 'by s3');
  assert.equal(put.status, 200, await put.text());
  assert.equal(readFileSync(join(root, 'data/docs/s3.txt'), 'utf8'), 'by s3');
  const back = await s3('GET', '/docs/s3.txt');
  assert.equal(await back.text(), 'by s3');
  assert.match(await cellar('front', 'ls', 'docs'), /s3\.txt/);
  const machines = (JSON.parse(await cellar('front', 'ps', '--json')) as { name: string; machine: string }[]).map(
    ({ name, machine }) => `${name} ${machine}`,
  );
  assert.ok(machines.includes('cellar.grpc.data.index.docs store'));
  assert.ok(machines.includes('cellar.gateway.web front'));
});

test('who has no certificate of the installation is not heard', { skip }, async () => {
  const socket = tlsConnect({ host: addresses.store, port: 7070, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const [error] = (await Promise.race([once(socket, 'error'), once(socket, 'close').then(() => [new Error('closed')])])) as [
    Error,
  ];
  assert.match(error.message, /certificate required|closed|ECONNRESET/i);
});

test('one machine dies: the other goes on, says what is away, and has it back by itself', { skip }, async () => {
  await kill('store');
  await waitUntil(
    async () => (await rest('GET', '/health/ready')).status === 503,
    20_000,
    () => 'the loss was not noticed',
  );
  assert.equal((await rest('GET', '/health/live')).status, 200);
  assert.equal((await rest('GET', '/api/v1/me')).status, 200);
  const startMs = Date.now();
  const answer = await rest('GET', '/api/v1/content/docs/hello.txt');
  assert.equal(answer.status, 503);
  assert.ok(Date.now() - startMs < 3000, 'it took too long to say so');
  assert.match(await answer.text(), /unavailable/);
  await start('store');
  await untilReady();
  assert.equal(await (await rest('GET', '/api/v1/content/docs/hello.txt')).text(), 'hello\n');
});

test('the machine with the gateway dies and comes back: the other needs no hand', { skip }, async () => {
  await kill('front');
  await start('front');
  await untilReady();
  assert.equal(await (await rest('GET', '/api/v1/content/docs/hello.txt')).text(), 'hello\n');
});

test('PostgreSQL is taken away and given back', { skip }, async () => {
  await postgres.kill();
  await waitUntil(
    async () => (await rest('GET', '/api/v1/tree/docs').catch(() => ({ status: 0 }))).status !== 200,
    20_000,
    () => 'nobody noticed',
  );
  assert.equal((await rest('GET', '/health/live')).status, 200);
  await postgres.restart();
  await untilReady();
  assert.equal(await (await rest('GET', '/api/v1/content/docs/hello.txt')).text(), 'hello\n');
});

async function start(name: Name): Promise<void> {
  const child = spawn('ip', ['netns', 'exec', `${bridge}-${name}`, command, 'start', '--home', home(name)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.set(name, child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const exited = once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended at its start:\n${said}`)));
  await Promise.race([once(child.stdout, 'data'), exited]);
  exited.catch(() => undefined);
}

async function kill(name: Name): Promise<void> {
  const child = running.get(name);
  assert.ok(child);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function cellar(name: Name, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args, '--home', home(name)], {
    env: { ...process.env, HOME: root, XDG_CONFIG_HOME: join(root, '.config') },
  });
  return stdout;
}

function rest(method: string, path: string): Promise<Response> {
  return fetch(`${url}${path}`, {
    method,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    signal: AbortSignal.timeout(20_000),
  });
}

async function untilReady(): Promise<void> {
  const isReady = async (): Promise<boolean> => {
    const answer = await rest('GET', '/health/ready').catch(() => undefined);
    if (answer?.status !== 200) return false;
    return (await answer.text()).includes('cellar.grpc.data.sync.docs');
  };
  await waitUntil(isReady, 60_000, () => `not ready:\n${log('front')}\n${log('store')}`);
}

function log(name: Name): string {
  return readFileSync(join(home(name), 'logs/cellar.log'), 'utf8')
    .split('\n')
    .slice(-30)
    .join('\n');
}

function makeNetwork(): void {
  const ip = (...args: string[]): void => {
    const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  };
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('addr', 'add', `${addresses.host}/24`, 'dev', bridge);
  ip('link', 'set', bridge, 'up');
  for (const name of ['front', 'store'] as const) {
    const space = `${bridge}-${name}`;
    const end = `${name[0]}${id}`;
    ip('netns', 'add', space);
    ip('link', 'add', `v${end}`, 'type', 'veth', 'peer', 'name', `w${end}`);
    ip('link', 'set', `v${end}`, 'master', bridge, 'up');
    ip('link', 'set', `w${end}`, 'netns', space);
    ip('-n', space, 'addr', 'add', `${addresses[name]}/24`, 'dev', `w${end}`);
    ip('-n', space, 'link', 'set', `w${end}`, 'up');
    ip('-n', space, 'link', 'set', 'lo', 'up');
  }
}

function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces are made by root only; run the tests as root';
  const probe = `cellar-probe-${process.pid}`;
  const { status, error } = spawnSync('ip', ['netns', 'add', probe]);
  if (error || status !== 0) return 'there is no `ip` here that can make network namespaces (package iproute2)';
  spawnSync('ip', ['netns', 'del', probe]);
  return undefined;
}
