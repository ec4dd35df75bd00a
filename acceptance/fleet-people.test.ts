import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startProduct, waitUntil } from './harness.ts';

const patienceMs = 60_000;

interface ClaimView {
  readonly id: string;
  readonly user: string;
  readonly userName: string;
  readonly cluster?: { readonly name: string; readonly owner: string };
}

/** A pool of simulated clusters, an administrator, and two people who know nothing of each other. */
test('clusters of the fleet are whose they are', { timeout: 300_000 }, async (t) => {
  await using product = await startProduct({
    ...{ isOneProcess: true, datasources: [] },
    env: { CELLAR_FLEET_LOOK_SECONDS: '1' },
  });
  const run = async (...args: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await product.cli(...args);
    assert.equal(exitCode, 0, `cellar ${args.join(' ')}: ${stderr}`);
    return stdout + stderr;
  };
  const tokens = new Map<string, string>();
  for (const name of ['ann', 'bob', 'gone']) {
    await run('user', 'add', name);
    tokens.set(name, (await product.json<{ token: string }>('token', 'create', '--as', name)).token);
  }
  await run('user', 'disable', 'gone');
  const as = async (who: string, method: string, path: string, json?: unknown) => {
    const answer = await product.rest(method, path, { token: tokens.get(who) ?? '', ...(json === undefined ? {} : { json }) });
    return { status: answer.status, text: await answer.text() };
  };
  await run('host', 'add', 'h1', '--type', 'simulated', '--capacity', '4', '--template', 'evm-dev');
  await run('host', 'fillup', 'h1');
  await waitUntil(async () => (await product.json<{ status: { free: number } }[]>('hosts'))[0]?.status.free === 4, patienceMs);
  let claim: ClaimView;

  await t.test('an administrator applies for somebody, by name or id; nobody else does', async () => {
    claim = await product.json<ClaimView>('apply', 'evm-dev', '--for', 'ann');
    const { id } = await product.json<{ id: string }>('user', 'show', 'ann');
    assert.deepEqual([claim.user, claim.userName, claim.cluster?.owner], [id, 'ann', id]);
    assert.equal(
      (await product.json<ClaimView>('apply', 'evm-dev', '--for', id)).id,
      claim.id,
      'the same person, the same cluster',
    );
    assert.match(await run('claims', '--user', 'ann'), /ann/);
    assert.match(await run('events', '--last', '0'), /ann has cluster/);

    const unknown = await product.cli('apply', 'evm-dev', '--for', 'nobody');
    assert.equal((await product.cli('apply', 'evm-dev', '--for', '')).exitCode, 2, 'an empty name is nobody');
    assert.equal(unknown.exitCode, 3, unknown.stderr);
    assert.match(unknown.stderr, /There is no user "nobody"/);
    const disabled = await product.cli('apply', 'evm-dev', '--for', 'gone');
    assert.match(disabled.stderr, /User "gone" is disabled/);
    for (const user of ['ann', 'nobody']) {
      const refused = await as('bob', 'POST', '/api/v1/claims', { blueprint: 'evm-dev', user });
      assert.deepEqual([refused.status, /not_operator/.test(refused.text)], [403, true], refused.text);
    }
    assert.equal((await product.json<ClaimView[]>('claims', '--all')).length, 1, 'nothing of what was refused is left');
  });

  await t.test('whoever has a cluster next learns nothing of who had it before, and the other way round', async () => {
    await run('host', 'add', 'one', '--type', 'simulated', '--capacity', '1', '--template', 'evm-dev');
    await run('host', 'fillup', 'one');
    const wish = { blueprint: 'evm-dev', allow_multiple: true, selectors: [{ host: 'one' }], wait_seconds: 30 };
    const given = async (who: string): Promise<ClaimView> => {
      const answer = await as(who, 'POST', '/api/v1/claims', wish);
      assert.equal(answer.status, 200, answer.text);
      return JSON.parse(answer.text) as ClaimView;
    };
    /** All that follows an address until it is left. */
    const follow = async (who: string, path: string) => {
      const leave = new AbortController();
      const token = tokens.get(who) ?? '';
      const answer = await product.rest('GET', path, { token, headers: { accept: 'text/event-stream' }, signal: leave.signal });
      assert.equal(answer.status, 200);
      let text = '';
      const reading = (async () => {
        for await (const piece of answer.body ?? []) text += Buffer.from(piece).toString();
      })().catch(() => undefined);
      return async (word: string): Promise<string> => {
        await waitUntil(async () => text.includes(word), patienceMs);
        leave.abort();
        await reading;
        return text;
      };
    };
    const anns = await given('ann');
    const name = anns.cluster?.name ?? '';
    assert.equal((await as('ann', 'POST', `/api/v1/clusters/${name}:restart`, {})).status, 200);
    const annFollows = await follow('ann', '/api/v1/fleet/events?follow=true');
    assert.equal((await as('ann', 'POST', `/api/v1/claims/${anns.id}:release`, {})).status, 200);
    const bobs = await given('bob');
    assert.equal(bobs.cluster?.name, name);
    const bobFollows = await follow('bob', `/api/v1/claims/${bobs.id}/events`);
    assert.equal((await as('bob', 'POST', `/api/v1/clusters/${name}:restart`, {})).status, 200);
    assert.doesNotMatch(await bobFollows('OperationDone'), /\bann\b|ClusterAsked/, 'only what was while it was his');

    const [events, operations] = [await as('bob', 'GET', '/api/v1/fleet/events'), await as('bob', 'GET', '/api/v1/operations')];
    assert.match(events.text, /bob has cluster/);
    assert.match(operations.text, /"verb":"restart"/);
    const dump = await product.rest('GET', `/api/v1/clusters/${name}/dump`, { token: tokens.get('bob') ?? '' });
    const dumped = gunzipSync(Buffer.from(await dump.arrayBuffer())).toString();
    assert.match(dumped, /bob has cluster/);
    for (const text of [events.text, operations.text, dumped]) {
      assert.doesNotMatch(text, /\bann\b/);
      assert.ok(!text.includes(anns.user) && !text.includes(anns.id));
    }
    // She follows from when it was hers, and is told of another one of hers, but never of his.
    await as('ann', 'POST', '/api/v1/claims', { ...wish, selectors: [{ host: 'h1' }] });
    const seen = await annFollows('ClaimMade');
    assert.match(seen, /ClaimEnded/);
    assert.doesNotMatch(seen, /bob/);
  });

  await t.test('a reader of events that was cut off goes on after the last one it has heard', async () => {
    const idsOf = async (path: string, lastId?: string): Promise<number[]> => {
      const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
      const text = await (await product.rest('GET', path, { headers })).text();
      return [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    };
    const all = await idsOf('/api/v1/fleet/events');
    const at = all[4] ?? 0;
    const after = all.slice(5);
    assert.deepEqual(await idsOf('/api/v1/fleet/events', String(at)), after);
    assert.deepEqual(await idsOf('/api/v1/fleet/events?last=2', String(at)), after, 'none is missed');
    assert.deepEqual(await idsOf('/api/v1/fleet/events?last=2'), all.slice(-2));
    assert.deepEqual(await idsOf('/api/v1/fleet/events', 'nonsense'), all);
  });
});
