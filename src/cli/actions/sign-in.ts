import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { MeSchema, Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { RoleSchema } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Code, Fault, invalidArgument, notFound } from '#kernel/fault.ts';
import { createRestClient } from '#kernel/rest/client.ts';
import type { CliContext } from '../command.ts';
import { loginsPath, readLogins, withLogin, withoutLogin, writeLogins } from '../connection/logins.ts';
import { findRunning } from '../connection/running.ts';
import { urlDefault } from '../connection/target.ts';
import { enumWord, formatAge } from '../output/format.ts';
import { formatFields } from '../output/table.ts';
import { ask } from '../prompt.ts';

/** Signing in always goes over HTTP: the local socket knows its caller already. */
export async function login(context: CliContext, given: string | undefined): Promise<void> {
  const { input, output, signal, env } = context;
  const path = loginsPath(env);
  const logins = await readLogins(path);
  const url = context.server ?? (await findRunning(context.home))?.url ?? logins.current ?? urlDefault;
  if (!isPrivate(url)) output.warn(`${url} is not encrypted: others on the way can read the password; use https`);
  if (!given && !input.isTTY) throw invalidArgument('Cannot sign in: no user was named', { hint: 'Add --name USER.' });
  const name = given ?? (await ask(input, output, { text: 'Name: ', signal })).trim();
  const password = await ask(input, output, { text: `Password of ${name} at ${url}: `, isSecret: true, signal });
  const sessions = createRestClient(Sessions, { baseUrl: url, signal });
  const { token, expireTime, user } = await sessions.login({ name, password }, { signal });
  const expires = expireTime ? { expireTime: timestampDate(expireTime).toISOString() } : {};
  await writeLogins(path, withLogin(logins, url, { token, name: user?.name ?? name, ...expires }));
  const until = expireTime ? `; the session ends ${formatAge(expireTime, Date.now())}` : '';
  output.message(`Signed in to ${url} as ${user?.name ?? name}${until}.`);
  if (output.isJson) output.result({ server: url, name: user?.name ?? name, ...expires }, () => '');
}

export async function logout(context: CliContext): Promise<void> {
  const { output, signal, env } = context;
  const path = loginsPath(env);
  const logins = await readLogins(path);
  const running = context.isHomeGiven ? await findRunning(context.home) : undefined;
  const url = context.server ?? running?.url ?? logins.current;
  const stored = url === undefined ? undefined : logins.servers[url];
  if (!url || !stored) throw notFound(`Cannot sign out${url ? ` of ${url}` : ''}: no login is stored`);
  await writeLogins(path, withoutLogin(logins, url));
  try {
    await createRestClient(Sessions, { baseUrl: url, token: stored.token, signal }).logout({}, { signal });
  } catch (error) {
    // The session may have ended by itself. Anything else leaves it open at the server, which must be said.
    if (!(error instanceof Fault) || error.code !== Code.Unauthenticated) {
      output.warn(`the login is forgotten here, but the session goes on at the server: ${Fault.from(error).message}`);
    }
  }
  output.message(`Signed out of ${url}.`);
}

export async function whoAmI(context: CliContext): Promise<void> {
  const { output, signal } = context;
  const connection = await context.connect();
  const me = await connection.client(Sessions).getMe({}, { signal });
  const json = { server: connection.address, ...(toJson(MeSchema, me, { alwaysEmitImplicit: true }) as object) };
  output.result(json, () =>
    formatFields(
      {
        server: connection.address,
        name: me.user?.name ?? '',
        roles: me.user?.roles.map((role) => enumWord(RoleSchema, role)).join(', ') ?? '',
        scopes: me.scopes.join(', '),
      },
      output.style,
    ),
  );
}

function isPrivate(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
