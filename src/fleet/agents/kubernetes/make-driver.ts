import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { DriverMaker } from '../server.ts';
import { KubeApi } from './api.ts';
import { createKubernetesDriver } from './driver.ts';

export const makeKubernetesDriver: DriverMaker = async ({ host, fleet, address, credentials }, micro) => {
  const config = await readConfig(address, credentials, join(micro.folder, 'credentials'));
  return createKubernetesDriver({ api: new KubeApi(config), host, fleet, helperImage: () => micro.settings.helperImage });
};

/**
 * `context` of the file `kubeconfig` in the folder `credentials` below `folder`; with no credentials named, of the kubeconfig that `kubectl` would
 * use here, or, inside of a pod, its own account. Errors: `invalid_argument` with reasons `address_invalid` and `credentials_missing`.
 */
export async function readConfig(context: string, credentials: string, folder: string): Promise<KubeConfig> {
  const config = new KubeConfig();
  try {
    if (credentials !== '') config.loadFromString(await readKubeconfig(credentials, folder));
    else loadDefault(config);
  } catch (error) {
    if (Object(error).reason !== undefined) throw error;
    throw invalidArgument(`The kubeconfig cannot be used: ${error instanceof Error ? error.message : String(error)}`, {
      reason: 'credentials_missing',
      cause: error,
    });
  }
  const names = config.getContexts().map(({ name }) => name);
  if (context !== '' && !names.includes(context)) {
    throw invalidArgument(`The kubeconfig has no context "${context}"`, {
      reason: 'address_invalid',
      hint: names.length > 0 ? `It has: ${names.join(', ')}.` : 'It has none.',
    });
  }
  if (context !== '') config.setCurrentContext(context);
  if (!config.getCurrentCluster()) {
    throw invalidArgument('The kubeconfig names no cluster', {
      reason: 'address_invalid',
      hint: 'Name one of its contexts as the address of the host.',
    });
  }
  return config;
}

/** As `kubectl` does it, but for its last resort, an open port of this machine. */
function loadDefault(config: KubeConfig): void {
  config.loadFromDefault();
  if (config.getCurrentCluster()?.server !== 'http://localhost:8080') return;
  throw new Error('there is none at $KUBECONFIG or ~/.kube/config, and this is no pod');
}

async function readKubeconfig(name: string, folder: string): Promise<string> {
  const file = join(folder, name, 'kubeconfig');
  const missing = (cause?: unknown): Error =>
    invalidArgument(`There is no kubeconfig called ${JSON.stringify(name)}`, {
      reason: 'credentials_missing',
      hint: `Put a file "kubeconfig" into a folder below "${folder}", and give the folder's name as the credentials.`,
      cause,
    });
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw missing();
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw missing(error);
    throw error;
  }
}
