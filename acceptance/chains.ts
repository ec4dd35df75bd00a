import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';

/** What tests need to know of clusters of `evm-dev` without asking the fleet. */

/** Why there is no anvil here, or false when there is one; under CI that is an error. */
export function anvilMissing(): string | false {
  try {
    createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json');
    return false;
  } catch (error) {
    const reason = '@foundry-rs/anvil is not installed: npm install @foundry-rs/anvil';
    if (process.env['CI']) throw new Error(reason, { cause: error });
    return reason; // It is optional.
  }
}

/** Asks a node by JSON-RPC. Errors: when it does not answer, or with an error. */
export async function rpc(url: string, method: string, ...params: unknown[]): Promise<unknown> {
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

/** A process that is part of a member of a cluster. */
export interface MemberProcess {
  readonly pid: number;
  readonly fleet: string;
  readonly host: string;
  readonly cluster: string;
  readonly incarnation: number;
}

/** Those of an installation, by the mark in their environment and the home they live in. */
export function memberProcesses(home: string): readonly MemberProcess[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      const mark = /(?:^|\0)CELLAR_MEMBER=([^\0]*)/.exec(environment)?.[1];
      if (mark === undefined || !environment.includes(home)) return [];
      const [fleet = '', host = '', cluster = '', incarnation = ''] = mark.split('/');
      return [{ pid: Number(pid), fleet, host, cluster, incarnation: Number(incarnation) }];
    } catch {
      return []; // It has ended meanwhile, or is not ours.
    }
  });
}

/** Names of the control groups of a fleet's members; each stands for one member. */
export function memberGroups(fleet: string): readonly string[] {
  const trees = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '');
  const names = trees.flatMap((tree) => {
    try {
      return readdirSync(`${tree}/cellar`).filter((name) => name.startsWith(`${fleet}~`));
    } catch {
      return []; // Groups cannot be written here.
    }
  });
  return [...new Set(names)];
}

/** Ports of 127.0.0.1 from `first` to `last` that somebody listens on. Source: proc_pid_net(5), state 0A. */
export function listeningPorts(first: number, last: number): readonly number[] {
  const ports = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === '0A')
    .map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16));
  return [...new Set(ports.filter((port) => port >= first && port <= last))].toSorted((a, b) => a - b);
}

/** The first of so many ports in a row that nobody listens on; below those that the system gives out itself. */
export async function freePortRange(count: number): Promise<number> {
  for (let first = 11_000 + (process.pid % 700) * 10; first < 20_000; first += count) {
    const ports = Array.from({ length: count }, (_, at) => first + at);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
  throw new Error(`There are no ${count} free ports in a row`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
