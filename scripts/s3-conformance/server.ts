import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { startProduct } from '../../acceptance/harness.ts';

/** One user of the suite with a key pair. */
export interface SuiteUser {
  readonly name: string;
  /** Canonical id. */
  readonly id: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface SuiteServer extends AsyncDisposable {
  /** Where every request is S3, on 127.0.0.1. */
  readonly port: number;
  readonly users: Readonly<Record<'main' | 'alt' | 'tenant', SuiteUser>>;
}

/** Names of keys that the suite encrypts with. */
export const kmsKeys = ['suite-1', 'suite-2'] as const;
/** How long the suite takes a day of lifecycle rules to be. */
export const lifecycleDaySeconds = 10;

/** Anybody who is signed in may make buckets; what is in them is decided by their owners. */
const policy = 'permit(principal in Role::"user", action == Action::"data:write", resource == Path::"store");\n';

/** A platform as `cellar start --buckets FOLDER` makes it, with three users. `folder` is made. */
export async function startServer(folder: string): Promise<SuiteServer> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const product = await startProduct({
    datasources: [],
    args: ['--buckets', `store=${folder}`],
    env: {
      CELLAR_GATEWAY_S3_PORT: String(port),
      CELLAR_OBJECTS_KMS_KEYS: kmsKeys.join(','),
      CELLAR_OBJECTS_ALLOWS_SIGNATURE_V2: 'true',
      CELLAR_OBJECTS_LIFECYCLE_SECONDS: '1',
      // Objects expire at the turn of a day, which the suite does not wait for: a day that is a little shorter is over in time.
      CELLAR_OBJECTS_LIFECYCLE_DAY_SECONDS: String(lifecycleDaySeconds - 1),
    },
  });
  try {
    const set = await product.cliWith({ input: policy }, 'policy', 'set', 'suite', '-');
    if (set.exitCode !== 0) throw new Error(`The policy could not be set: ${set.stderr}`);
    const user = async (name: string): Promise<SuiteUser> => {
      const { id } = await product.json<{ id: string }>('user', 'add', name);
      const key = await product.json<{ accessKey: string; secretKey: string }>('key', 'create', '--as', name);
      return { name, id, accessKey: key.accessKey, secretKey: key.secretKey };
    };
    const users = { main: await user('main'), alt: await user('alt'), tenant: await user('tenant') };
    return { port, users, [Symbol.asyncDispose]: () => product[Symbol.asyncDispose]() };
  } catch (error) {
    await product[Symbol.asyncDispose]();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('The system gave no port');
  return address.port;
}
