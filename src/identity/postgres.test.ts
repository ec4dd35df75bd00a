import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Sessions, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Policies } from '#gen/cellar/identity/v1/policies_pb.ts';
import { anybody } from '#kernel/calls/caller.ts';
import { Code, Fault } from '#kernel/fault.ts';
import { createGuard } from '#kernel/guard/guard.ts';
import { silentLog } from '#kernel/log.ts';
import { postgresForFile } from '#kernel/testing/databases.ts';
import { until } from '#kernel/testing/engines.ts';
import { edge, startIdentity } from './testing.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

test('on PostgreSQL: a database that is taken away and given back', { skip, timeout: 60_000 }, async (t) => {
  const databaseUrl = await server().createDatabase();
  await using identity = await startIdentity({ databaseUrl });
  const { platform, admin, login } = identity;
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const guard = createGuard({
    client: (desc) => platform.client(desc, edge),
    clock: Date,
    log: silentLog,
    signal: stopping.signal,
  });
  const { token } = await platform.client(Tokens, admin).createToken({});
  const request = async (): Promise<void> => guard.assertAllowed(await guard.authenticate(token), 'data:read', 'data/docs/a');
  const codeOf = (attempt: Promise<unknown>): Promise<Code | 'fine'> =>
    attempt.then(
      () => 'fine',
      (error: unknown) => Fault.from(error).code,
    );
  await request();

  await server().kill();
  assert.equal(await codeOf(platform.client(Sessions, anybody).login(login)), Code.Unavailable);
  assert.equal(
    await codeOf(guard.authenticate(token.replace(/.$/, '_'))),
    Code.Unauthenticated,
    'no token at all needs no database',
  );
  assert.equal(await codeOf(guard.authenticate(`cellar_${'A'.repeat(32)}`)), Code.Unavailable);
  const text = 'permit(principal, action, resource is Path);';
  assert.equal(await codeOf(platform.client(Policies, admin).setPolicy({ policy: { id: 'open', text } })), Code.Unavailable);

  await server().restart();
  await until(async () => (await codeOf(request())) === 'fine');
  assert.equal(await codeOf(guard.authenticate(`cellar_${'A'.repeat(32)}`)), Code.Unauthenticated);
  await platform.client(Sessions, anybody).login(login);
  await platform.client(Policies, admin).setPolicy({ policy: { id: 'open', text } });
  const { tokens } = await platform.client(Tokens, admin).listTokens({});
  await platform.client(Tokens, admin).deleteToken({ id: tokens[0]?.id ?? '' });
  await until(async () => (await codeOf(request())) === Code.Unauthenticated);
});
