import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { index } from '#data/index/main.ts';
import { objects } from '#data/objects/main.ts';
import { policyStore } from '#identity/policies/main.ts';
import { policies } from '#identity/policies-rest/main.ts';
import { firstLogin } from '#identity/users/first-login.ts';
import { users } from '#identity/users/main.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { startTestPlatform, type TestPlatform } from '#kernel/testing/platform.ts';
import { type Credentials, signHeaders } from '#lib/sigv4-signer.ts';
import { webGateway } from '../main.ts';

export interface TestGateway extends AsyncDisposable {
  readonly url: string;
  readonly platform: TestPlatform;
  readonly admin: { readonly name: string; readonly password: string };
  /** Of the administrator's session. */
  readonly token: string;
  /** Folder of the datasource `docs`, with a file `hello.txt`. */
  readonly folder: string;
}

/** The gateway with real identity services, and the objects and index of one datasource, in this process. */
export async function startTestGateway(settings: Readonly<Record<string, unknown>> = {}): Promise<TestGateway> {
  const home = temporaryFolder();
  const folder = join(home.path, 'data', 'docs');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'hello.txt'), 'hello');
  const plan = { datasource: 'docs', folder, objectsService: 'cellar.grpc.data.objects.local1' };
  const one = (definition: ServiceDefinition, instance = '', its: unknown = undefined) => ({ definition, instance, plan: its });
  const platform = await startTestPlatform(
    [
      one(users),
      one(policyStore),
      one(policies),
      one(objects, 'local1', { parent: dirname(folder), buckets: [{ bucket: 'docs', folder: 'docs' }] }),
      one(index, 'docs', plan),
      one(webGateway),
    ],
    {
      home: home.path,
      settings: {
        'cellar.gateway.web': { port: 0, ...settings },
        'cellar.grpc.users': { passwordMemoryKib: 64, passwordPasses: 1 },
      },
    },
  );
  const url = platform.started.find(({ name }) => name === 'cellar.gateway.web')?.running.url ?? '';
  const admin = await firstLogin(home.path);
  if (!admin) throw new Error('The first start made no administrator');
  const { token } = (await (await postJson(`${url}/api/v1/login`, admin)).json()) as { token: string };
  return {
    url,
    platform,
    admin,
    token,
    folder,
    [Symbol.asyncDispose]: async () => {
      await platform.stop();
      home[Symbol.dispose]();
    },
  };
}

export async function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** A key pair of whoever has the token. */
export async function createKey(gateway: TestGateway, token = gateway.token): Promise<Credentials> {
  const response = await postJson(`${gateway.url}/api/v1/keys`, { name: 'test' }, { authorization: `Bearer ${token}` });
  const { accessKey, secretKey } = (await response.json()) as { accessKey: string; secretKey: string };
  return { accessKey, secretKey, region: 'us-east-1' };
}

/** A signed S3 request. */
export async function askS3(
  gateway: TestGateway,
  credentials: Credentials,
  method: string,
  path: string,
  body?: string,
): Promise<Response> {
  const url = new URL(path, gateway.url);
  const request = {
    method,
    path: url.pathname,
    query: [...url.searchParams],
    headers: new Map([['host', url.host]]),
  };
  const headers = signHeaders(request, 'UNSIGNED-PAYLOAD', credentials, Date.now());
  return await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
}
