import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { permissionDenied } from '#kernel/fault.ts';
import { silentLog } from '#kernel/log.ts';
import type { Backend } from '../backend.ts';
import type { S3User } from '../call.ts';
import { createS3Handler } from '../handler.ts';
import type { OperationName } from '../operation-names.ts';
import { createS3Client, type S3Client } from './client.ts';
import { createMemoryBackend } from './memory-backend.ts';

export interface UsersServer {
  readonly endpoint: string;
  readonly backend: Backend;
  /** Signs as this user; their id and secret are made of their name. */
  as(name: string): S3Client;
}

export interface UsersServerOptions {
  readonly allowsSignatureV2?: boolean;
  readonly baseDomain?: string;
  /** Absent: everybody may make buckets, and nothing else is said. */
  readonly platform?: (
    user: S3User | undefined,
    operation: OperationName,
    bucket: string | undefined,
  ) => 'allowed' | 'forbidden' | 'undecided';
}

const names = ['alice', 'bob', 'carol', 'admin'];
const userOf = (name: string): S3User => ({ id: `id-${name}`, displayName: name, isAdministrator: name === 'admin' });

/** A server over a backend in memory, for several users that have nothing to do with each other. Ended after the test. */
export async function startUsersServer(t: Pick<TestContext, 'after'>, options: UsersServerOptions = {}): Promise<UsersServer> {
  const { allowsSignatureV2 = false, platform = (_user, operation) => (operation === 'CreateBucket' ? 'allowed' : 'undecided') } =
    options;
  const backend = createMemoryBackend();
  const handler = createS3Handler<string>({
    backend,
    authenticate: async (accessKey) => {
      const name = names.find((one) => `AK${one.toUpperCase()}` === accessKey);
      return name === undefined ? undefined : { secret: `secret of ${name}`, caller: name };
    },
    user: userOf,
    users: {
      byId: async (id) => {
        const name = names.find((one) => userOf(one).id === id);
        return name === undefined ? undefined : { id, displayName: name };
      },
    },
    verdict: (caller, operation, bucket) => {
      const kind = platform(caller === undefined ? undefined : userOf(caller), operation, bucket);
      return kind === 'allowed' ? { kind } : { kind, fault: permissionDenied('The platform does not allow it') };
    },
    allowsSignatureV2,
    ...(options.baseDomain === undefined ? {} : { baseDomain: options.baseDomain }),
    log: silentLog,
  });
  const server = createServer(handler).on('checkContinue', handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    endpoint,
    backend,
    as: (name) =>
      createS3Client(endpoint, { accessKey: `AK${name.toUpperCase()}`, secretKey: `secret of ${name}`, region: 'us-east-1' }),
  };
}
