import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';

/** Why no Docker engine can be started here, or undefined when one can; under CI that is an error. */
export function dockerMissing(): string | undefined {
  const reason =
    userInfo().uid !== 0
      ? 'a Docker engine of its own needs root; run the tests as root to enable'
      : spawnSync('dockerd', ['--version']).error
        ? 'dockerd is not on the PATH; enable with: apt-get install docker.io'
        : undefined;
  if (reason && process.env['CI']) throw new Error(reason);
  return reason;
}

/** A real engine with all of its data in a folder of its own. */
export interface TestDocker extends AsyncDisposable {
  readonly docker: Docker;
  /** `unix:///...`. */
  readonly address: string;
  /** Ends the engine at once (SIGKILL), as when its machine has no memory left. */
  kill(): Promise<void>;
  /** Ends it in order, with all of its containers unless it was told to let them live. */
  stop(): Promise<void>;
  /** Starts it again over the same data. */
  restart(): Promise<void>;
}

const patienceMs = 30_000;
let started = 0;

/** Networks of two engines must not overlap: each takes a sixteenth of 10.192.0.0/10 by the number of this process and its own. */
const pool = (): string => `10.${192 + ((process.pid + started++) % 60)}.0.0/16`;

export interface DockerOptions {
  /** Comes before `dockerd`, such as to run it in another namespace. */
  readonly wrap?: readonly string[];
  /** How its networks are made; packet filters of this machine are left alone when absent. */
  readonly network?: readonly string[];
  /** More arguments. */
  readonly more?: readonly string[];
}

export async function startDocker({ wrap = [], network, more = [] }: DockerOptions = {}): Promise<TestDocker> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-docker-'));
  const socketPath = join(folder, 'docker.sock');
  const docker = new Docker({ socketPath });
  // What is published is carried by a process of the engine.
  const subnets = ['--iptables=false', '--ip-forward=false', '--default-address-pool', `base=${pool()},size=24`];
  const paths = ['--data-root', join(folder, 'root'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')];
  const own = ['--bridge', 'none', ...(network ?? subnets), '--host', `unix://${socketPath}`, ...more];
  const [program = '', ...before] = [...wrap, 'dockerd'];
  let child: ChildProcess;

  const start = async (): Promise<void> => {
    const log = openSync(join(folder, 'log'), 'a');
    child = spawn(program, [...before, ...paths, ...own], { stdio: ['ignore', log, log] });
    closeSync(log);
    const endMs = performance.now() + patienceMs;
    while (!(await docker.ping().catch(() => undefined))) {
      if (child.exitCode !== null || performance.now() > endMs)
        throw new Error(`dockerd does not start:\n${readFileSync(join(folder, 'log'), 'utf8').slice(-4000)}`);
      await sleep(50);
    }
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  await start();
  return {
    docker,
    address: `unix://${socketPath}`,
    async kill() {
      // With its helper, as when a machine runs out of memory; what runs in containers goes on.
      const helper = Number(readFileSync(join(folder, 'exec', 'containerd', 'containerd.pid'), 'utf8'));
      await end('SIGKILL');
      process.kill(helper, 'SIGKILL');
    },
    stop: () => end('SIGTERM'),
    restart: start,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) await start();
      // What goes on without its engine would stay: containers, and the networks' bridges.
      for (const { Id } of await docker.listContainers({ all: true })) {
        await docker
          .getContainer(Id)
          .remove({ force: true, v: true })
          .catch((error: { readonly statusCode?: number }) => {
            // A swarm may be removing it too.
            if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
          });
      }
      await docker.pruneNetworks();
      await end('SIGTERM');
      // A killed engine leaves its mounts behind, the deepest last.
      for (const place of mountsBelow(folder).toReversed()) spawnSync('umount', ['--lazy', place]);
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const mountsBelow = (folder: string): readonly string[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
