import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CommandResult, type Product, startProduct, waitUntil } from './harness.ts';
import { signedFetch } from './signed-fetch.ts';

/** What `cellar datasource notify` makes. */
interface Door {
  readonly url: string;
  readonly token: string;
  readonly urlWithToken: string;
}

const yearMinutes = '525600';
let here: Product;
let there: Product;
let farS3: ReturnType<typeof signedFetch>;
let door: Door;
before(async () => {
  [here, there] = await Promise.all([
    startProduct({ datasources: ['docs'], isOneProcess: true, env: { CELLAR_SYNC_REMOTE_PASS_MINUTES: yearMinutes } }),
    startProduct({ datasources: ['far'], isOneProcess: true, env: { CELLAR_OBJECTS_WEBHOOKS_TO_PRIVATE: 'true' } }),
  ]);
  const key = await there.json<{ accessKey: string; secretKey: string }>('key', 'create', 'acceptance');
  farS3 = signedFetch(there.url, key);
  await put('in/old.txt');
  const place = ['--remote', `${there.url}/far/in`, '--access-key', key.accessKey];
  const added = await here.cliWith({ input: `${key.secretKey}\n` }, 'datasource', 'add', 'away', ...place);
  assert.equal(added.exitCode, 0, added.stderr);
  await waitUntil(() => has('old.txt'), 20_000, here.logs);
  door = await here.json<Door>('datasource', 'notify', 'away', '--address', here.url);
  await configure(door.urlWithToken);
});
after(async () => {
  await Promise.all([here, there].map((product) => product?.[Symbol.asyncDispose]()));
});

async function put(key: string): Promise<void> {
  const response = await farS3('PUT', `/far/${encodeURIComponent(key).replaceAll('%2F', '/')}`, key);
  assert.equal(response.status, 200, await response.text());
}

/** Has the other server tell an address of all that happens in its bucket. */
async function configure(topic: string): Promise<void> {
  const events = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'].map((name) => `<Event>${name}</Event>`).join('');
  const rules = `<TopicConfiguration><Topic>${topic}</Topic>${events}</TopicConfiguration>`;
  const body = topic === '' ? '' : rules;
  const response = await farS3('PUT', '/far?notification', `<NotificationConfiguration>${body}</NotificationConfiguration>`);
  assert.equal(response.status, 200, await response.text());
}

async function has(path: string): Promise<boolean> {
  const { exitCode }: CommandResult = await here.cli('stat', `away/${path}`);
  return exitCode === 0;
}

const post = (body: string, token = door.token): Promise<Response> =>
  fetch(door.url, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } });

const records = (bucket: string, ...keys: string[]): string =>
  JSON.stringify({
    Records: keys.map((key) => ({ eventName: 's3:ObjectCreated:Put', s3: { bucket: { name: bucket }, object: { key } } })),
  });

test('what others write and delete at the other server is seen without a listing', async () => {
  await put('in/new folder/ü+1.txt');
  await waitUntil(() => has('new folder/ü+1.txt'), 20_000, here.logs);
  assert.equal((await farS3('DELETE', '/far/in/old.txt')).status, 204);
  await waitUntil(async () => !(await has('old.txt')), 20_000, here.logs);
  await put('outside/of-the-prefix.txt');
  const shown = async () =>
    (
      await here.json<{ sync: { notified: boolean; notifications: { taken: string; ignored: string } } }>(
        'datasource',
        'show',
        'away',
      )
    ).sync;
  await waitUntil(async () => (await shown()).notifications.ignored === '1', 20_000, here.logs);
  assert.deepEqual([(await shown()).notified, (await shown()).notifications.taken], [true, '2']);
});

test('strangers are refused, and so is what is no notification', async () => {
  for (const token of ['wrong', `${door.token}x`, '']) assert.equal((await post(records('far', 'in/x'), token)).status, 401);
  const garbage = await post('<xml/>');
  assert.equal(garbage.status, 400);
  assert.match(((await garbage.json()) as { detail: string }).detail, /not JSON/);
  const other = await post('{"hello": "there"}');
  assert.match(((await other.json()) as { detail: string }).detail, /no S3 event notification/);
  assert.deepEqual(await (await post(records('elsewhere', 'in/x'))).json(), { taken: 0, ignored: 1 });
  assert.notEqual((await here.cli('datasource', 'notify', 'docs', '--address', here.url)).exitCode, 0);
});

test('a notification that says what is not so changes nothing', async () => {
  assert.deepEqual(await (await post(records('far', 'in/never-was.txt', 'in/new+folder/%C3%BC%2B1.txt'))).json(), {
    taken: 2,
    ignored: 0,
  });
  await put('in/after.txt');
  await waitUntil(() => has('after.txt'), 20_000, here.logs);
  assert.deepEqual([await has('never-was.txt'), await has('new folder/ü+1.txt')], [false, true]);
});

test('a lost notification is healed by a listing, a new token ends the old one', async () => {
  await configure('');
  await put('in/lost.txt');
  await put('in/told.txt');
  const next = await here.json<Door>('datasource', 'notify', 'away', '--address', here.url);
  assert.equal((await post(records('far', 'in/told.txt'))).status, 401);
  assert.equal((await post(records('far', 'in/told.txt'), next.token)).status, 200);
  await waitUntil(() => has('told.txt'), 20_000, here.logs);
  assert.equal(await has('lost.txt'), false);
  await here.cli('datasource', 'resync', 'away');
  assert.equal(await has('lost.txt'), true);
  await here.cli('datasource', 'notify', 'away', '--off');
  assert.equal((await post(records('far', 'in/told.txt'), next.token)).status, 401);
});
