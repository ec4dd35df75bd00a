import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { command, freePort, type Product, startProduct, waitUntil } from './harness.ts';

/** How long something may take on a busy machine. Unit: milliseconds. */
const patienceMs = 120_000;

function isAnvilInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json');
    return true;
  } catch {
    return false; // It is optional.
  }
}

const skip = isAnvilInstalled() ? false : '@foundry-rs/anvil is not installed: npm install @foundry-rs/anvil';

interface HostView {
  readonly name: string;
  readonly status: {
    readonly state: string;
    readonly free: number;
    readonly used: number;
    readonly conditions: readonly { readonly reason: string; readonly message: string }[];
    readonly agent?: { readonly connected: boolean; readonly version: string };
  };
}

interface ClaimView {
  readonly cluster: {
    readonly name: string;
    readonly state: string;
    readonly host: string;
    readonly incarnation: number;
    readonly endpoints: Readonly<Record<string, string>>;
  };
}

interface AgentView {
  readonly host: string;
  readonly connected: boolean;
  readonly message: string;
}

/** A wire between an agent and the platform that can be cut, or swallow what goes through. */
interface Network {
  readonly port: number;
  /** `open`; `swallowing`: nobody is told anything; `cut`: connections break and none is made. */
  be(state: 'open' | 'swallowing' | 'cut'): void;
  close(): void;
}

test('a host whose agent runs beside it, in its own process and home', { skip, timeout: 900_000 }, async (t) => {
  let product: Product;
  let network: Network;
  let agent: ChildProcess | undefined;
  let said = '';
  const agentHome = (): string => join(product.tmp, 'agent');
  const bundle = (name: string): string => join(product.tmp, `${name}.pem`);

  before(async () => {
    const port = await freePort();
    network = await startNetwork(port);
    product = await startProduct({
      isOneProcess: true,
      datasources: [],
      env: { CELLAR_AGENTS_LISTEN: `127.0.0.1:${port}`, CELLAR_AGENTS_SILENCE_SECONDS: '2', CELLAR_FLEET_LOOK_SECONDS: '1' },
    });
  });
  after(async () => {
    if (!product) return;
    const left = members(agentHome());
    agent?.kill('SIGKILL');
    for (const pid of left) process.kill(Number(pid), 'SIGKILL');
    network.close();
    await product[Symbol.asyncDispose]();
  });

  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await product.cliWith({ timeoutMs: patienceMs }, ...args);
    assert.equal(exitCode, 0, `cellar ${args.join(' ')}: ${stderr}\n${said}`);
    return stdout + stderr;
  };
  const host = async (): Promise<HostView> => {
    const [found] = await product.json<HostView[]>('hosts');
    return found ?? assert.fail('there is no host');
  };
  const until = (isSo: () => boolean | Promise<boolean>): Promise<void> =>
    waitUntil(isSo, patienceMs, () => `not so: ${isSo}\n${said}\n${product.logs()}`);
  const isActive = async (): Promise<boolean> => (await host()).status.state === 'STATE_ACTIVE';
  const startAgent = (name = 'far', home = agentHome()): ChildProcess => {
    const args = ['agent', 'run', '--platform', `127.0.0.1:${network.port}`, '--bundle', bundle(name), '--home', home];
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
    });
    return child;
  };
  const endOf = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  let claim: ClaimView;
  const answers = async (): Promise<boolean> => (await rpc(claim.cluster.endpoints['rpc'] ?? '', 'eth_chainId')) === '0x7a69';

  await t.test('enrolled, connected, added', async () => {
    const early = await product.cli('host', 'add', 'far', '--type', 'process', '--agent', 'remote');
    assert.notEqual(early.exitCode, 0);
    assert.match(early.stderr, /No agent is enrolled for host "far"/);
    assert.match(await run('agent', 'enrol', 'far', '--out', bundle('far')), /cellar agent run --platform/);
    agent = startAgent();
    await until(async () => (await product.json<AgentView[]>('agent', 'list'))[0]?.connected === true);
    const words = ['--type', 'process', '--agent', 'remote', '--capacity', '2', '--template', 'evm-dev'];
    assert.match(await run('host', 'add', 'far', ...words), /Added host far/);
    const { status } = await host();
    assert.deepEqual([status.state, status.agent?.connected], ['STATE_ACTIVE', true]);
    assert.match(await run('host', 'show', 'far'), /agent +remote, version \d/);
  });

  await t.test('a chain is built there, given out, and used', async () => {
    assert.match(await run('host', 'fillup', 'far'), /2 of 2/);
    claim = await product.json<ClaimView>('apply', 'evm-dev');
    assert.equal(claim.cluster.host, 'far');
    const url = claim.cluster.endpoints['rpc'] ?? '';
    const [from, to] = (await rpc(url, 'eth_accounts')) as [string, string];
    const hash = await rpc(url, 'eth_sendTransaction', { from, to, value: '0x1' });
    await until(async () => (await rpc(url, 'eth_getTransactionReceipt', hash)) !== null);
    assert.match(await run('cluster', 'logs', claim.cluster.name, '--tail', '200'), /eth_sendTransaction/);
    assert.match(await run('cluster', 'stats', claim.cluster.name), /MiB/);
    assert.ok(members(agentHome()).length >= 2);
    assert.deepEqual(members(product.home), []);
  });

  await t.test('the agent is killed: its clusters go on, the host says what is missing, and all is adopted again', async () => {
    const before = members(agentHome());
    await endOf(agent ?? assert.fail(), 'SIGKILL');
    await until(async () => (await host()).status.state === 'STATE_UNREACHABLE');
    const { status } = await host();
    assert.equal(status.conditions[0]?.reason, 'engine_unreachable');
    assert.match(status.conditions[0]?.message ?? '', /agent of host "far" is not connected/);
    assert.ok(await answers());
    agent = startAgent();
    await until(isActive);
    assert.deepEqual(members(agentHome()), before);
    const found = await product.json<ClaimView['cluster'][]>('clusters', '--used');
    assert.deepEqual(
      found.map(({ name, state, incarnation }) => [name, state, incarnation]),
      [[claim.cluster.name, 'STATE_READY', 1]],
    );
  });

  await t.test('the platform is killed and comes back: the agent finds it again', async () => {
    const before = members(agentHome());
    process.kill(product.pid(), 'SIGKILL');
    await waitUntil(() => !existsSync(`/proc/${product.pid()}`) || isZombie(product.pid()), patienceMs);
    assert.ok(await answers());
    await product.start();
    await until(async () => (await isActive()) && (await host()).status.agent?.connected === true);
    assert.deepEqual(members(agentHome()), before);
    assert.equal((await host()).status.used, 1);
  });

  await t.test('a network that swallows everything, and one that is cut, are noticed and left behind', async () => {
    for (const state of ['swallowing', 'cut'] as const) {
      network.be(state);
      await until(async () => (await host()).status.state === 'STATE_UNREACHABLE');
      assert.ok(await answers());
      network.be('open');
      await until(isActive);
    }
    agent?.kill('SIGSTOP');
    await until(async () => (await host()).status.state === 'STATE_UNREACHABLE');
    agent?.kill('SIGCONT');
    await until(isActive);
    assert.equal((await host()).status.used, 1);
  });

  await t.test('an agent with the certificate of another host does not serve this one', async () => {
    await run('agent', 'enrol', 'other', '--out', bundle('other'));
    const home = join(product.tmp, 'other');
    const other = startAgent('other', home);
    await until(async () => (await product.json<AgentView[]>('agent', 'list')).every(({ connected }) => connected));
    await endOf(agent ?? assert.fail(), 'SIGTERM');
    await until(async () => (await host()).status.state === 'STATE_UNREACHABLE');
    assert.deepEqual(members(home), []);
    await endOf(other, 'SIGTERM');
    await run('agent', 'revoke', 'other', '--yes');
    agent = startAgent();
    await until(isActive);
  });

  await t.test('given back, built anew; the host is deleted with all that is there, and its agent refused', async () => {
    await run('release', claim.cluster.name);
    await until(async () => (await host()).status.free === 2);
    assert.match(await run('host', 'delete', 'far', '--force', '--yes'), /Done/);
    await until(async () => (await product.json<HostView[]>('hosts')).length === 0);
    assert.deepEqual(members(agentHome()), []);
    assert.deepEqual(await product.json<AgentView[]>('agent', 'list'), []);
    await until(() => said.includes('agent_revoked'));
    await endOf(agent ?? assert.fail(), 'SIGTERM');
    agent = undefined;
    assert.ok(!said.includes('PRIVATE KEY'));
  });
});

async function startNetwork(target: number): Promise<Network> {
  let state: 'open' | 'swallowing' | 'cut' = 'open';
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    if (state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => void (state === 'open' && to.write(chunk)));
      from.on('error', () => undefined);
      from.on('close', () => void (sockets.delete(from) && state !== 'swallowing' && to.destroy()));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === 'object');
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: bound.port,
    be(next) {
      state = next;
      if (state === 'cut') breakAll();
    },
    close() {
      server.close();
      breakAll();
    },
  };
}

async function rpc(url: string, method: string, ...params: unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(30_000),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: unknown };
  assert.equal(error, undefined);
  return result;
}

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true; // It is gone.
  }
}

/** Processes that are members of a cluster of this home. */
function members(home: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      return environment.includes('CELLAR_MEMBER=') && environment.includes(`${home}/`);
    } catch {
      return false; // It has ended meanwhile, or is not ours.
    }
  });
}
