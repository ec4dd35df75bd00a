import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { type ServiceState, ServiceState_State, Services } from '#gen/cellar/platform/v1/services_pb.ts';
import { type ActResponse, Puppet } from '#gen/cellar/testing/v1/puppet_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Client, createClient } from '#kernel/calls/client.ts';
import { socketPath } from '#kernel/process/paths.ts';
import { createLocalChannel } from '#kernel/transports/local/channel.ts';
import { type MainProcess, runMain } from '../run-main.ts';
import { puppetCatalogue } from './puppet-catalogue.ts';

export const operator: Caller = { id: 'tester', name: 'tester', roles: [Role.USER, Role.ADMIN], scopes: ['*'], via: '' };

export interface PuppetOptions {
  readonly datasources?: readonly string[];
  readonly isForked?: boolean;
  /** `cellar.yaml`. */
  readonly yaml?: string;
  readonly home?: string;
}

/** A running platform of puppets; its main process is the test's. */
export interface PuppetPlatform extends AsyncDisposable {
  readonly home: string;
  readonly main: MainProcess;
  client<D extends DescService>(desc: D): Client<D>;
  act(instance: string, verb: string, argument?: string): Promise<ActResponse>;
  services(): Promise<Readonly<Record<string, ServiceState>>>;
  /** Resolves when the instance's state meets the condition; rejects after ten seconds. */
  until(instance: string, isMet: (state: ServiceState) => boolean): Promise<ServiceState>;
}

export async function puppetHome(datasources: readonly string[], yaml = ''): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'cellar-puppets-'));
  for (const name of datasources) await mkdir(join(home, 'data', name), { recursive: true });
  const lines = datasources.map((name) => `  ${name}: {folder: data/${name}}`);
  await writeFile(join(home, 'cellar.yaml'), `datasources:\n${lines.join('\n')}\n${yaml}`);
  return home;
}

export async function startPuppets(options: PuppetOptions = {}): Promise<PuppetPlatform> {
  const home = options.home ?? (await puppetHome(options.datasources ?? ['one', 'two'], options.yaml));
  const main = await runMain({
    home,
    catalogue: puppetCatalogue,
    environment: {},
    flags: [],
    isForked: options.isForked ?? true,
    forkScript: join(import.meta.dirname, 'puppet-fork.ts'),
    signal: new AbortController().signal,
  });
  const channel = createLocalChannel({ path: socketPath(home, 'main') });
  const isForked = options.isForked ?? true;
  const client = <D extends DescService>(desc: D): Client<D> =>
    createClient(desc, { route: () => ({ channel, service: '' }), caller: operator });
  const services = async () =>
    Object.fromEntries((await client(Services).listServices({})).services.map((state) => [state.instance || state.name, state]));
  return {
    home,
    main,
    client,
    services,
    act: async (instance, verb, argument = '') => {
      const service = `cellar.grpc.puppets.${instance}`;
      const own = isForked ? createLocalChannel({ path: socketPath(home, service) }) : channel;
      try {
        return await createClient(Puppet, { route: () => ({ channel: own, service }), caller: operator }).act(
          { verb, argument },
          { timeoutMs: 3000 },
        );
      } finally {
        if (isForked) await own.close();
      }
    },
    until: async (instance, isMet) => {
      const endMs = Date.now() + 10_000;
      while (true) {
        const state = (await services())[instance];
        if (state && isMet(state)) return state;
        if (Date.now() > endMs)
          throw new Error(`${instance} is still ${state ? `in state ${state.state}: ${state.reason}` : 'away'}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    [Symbol.asyncDispose]: async () => {
      await channel.close();
      await main.stop();
      if (!options.home) await rm(home, { recursive: true, force: true });
    },
  };
}

export const isReady = ({ state }: ServiceState): boolean => state === ServiceState_State.READY;
