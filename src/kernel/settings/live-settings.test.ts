import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../database/open.ts';
import { Code, Fault } from '../fault.ts';
import { openLiveConfig } from '../live-config/live-config.ts';
import { silentLog } from '../log.ts';
import { LiveSettings, settingsView } from './live-settings.ts';
import { type Settings, Source } from './resolve.ts';
import { Schema } from './schema.ts';
import { integer, map, Secret, secret, text } from './setting.ts';

const spec = {
  limit: integer({ default: 5, min: 1, max: 10, meaning: 'Limit.' }),
  port: integer({ default: 80, min: 1, max: 99, meaning: 'Port.', needsRestart: true }),
  key: secret({ default: new Secret(''), meaning: 'Key.' }),
};
const schema = new Schema([
  { name: 'web', settings: spec, owner: 'web' },
  { name: 'database', settings: { url: text({ default: '', meaning: 'URL.' }) }, owner: 'platform' },
  {
    name: 'folders',
    settings: {
      folders: map({
        meaning: 'Folders.',
        keyPattern: /^[a-z]+$/,
        keyAllowed: 'letters',
        of: { path: text({ default: '', meaning: 'Path.' }) },
      }),
    },
    owner: 'platform',
  },
]);

async function withStore(use: (live: LiveSettings, other: LiveSettings) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cellar-settings-'));
  const database = openDatabase({ url: `sqlite:${folder}/`, name: 'settings', log: silentLog });
  const stop = new AbortController();
  const flag = [{ key: 'web.port', value: 90, source: Source.Flag, where: 'flag --port' }];
  try {
    const live = new LiveSettings(schema, flag);
    const other = new LiveSettings(schema, []);
    const config = await openLiveConfig({ database });
    await live.follow(config, stop.signal, silentLog);
    await other.follow(config, stop.signal, silentLog);
    await use(live, other);
  } finally {
    stop.abort();
    await database.close();
    await rm(folder, { recursive: true });
  }
}

function changed(live: LiveSettings, isMet: (settings: Settings) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = live.watch((settings) => {
      if (!isMet(settings)) return;
      stop();
      resolve();
    });
  });
}

test('a stored value is seen at once here, and by others that follow', async () => {
  await withStore(async (live, other) => {
    const seen = changed(other, ({ byKey }) => byKey.get('web.limit')?.value === 7);
    const view = await live.set('web.limit', '7', 'ada', silentLog);
    assert.equal(view.value, 7);
    assert.equal(view.source, 'set');
    assert.equal(view.version, 1);
    await seen;
    const back = await live.unset('web.limit', 'ada', silentLog);
    assert.equal(back?.value, 5);
    assert.equal(back?.source, 'default');
  });
});

test('a group of a map comes and goes by its keys', async () => {
  await withStore(async (live) => {
    await live.set('folders.docs.path', '/srv/docs', 'ada', silentLog);
    assert.equal(live.get('folders.docs.path').value, '/srv/docs');
    assert.equal(await live.unset('folders.docs.path', 'ada', silentLog), undefined);
    assert.throws(() => live.get('folders.docs.path'), /is not set/);
  });
});

const refused: readonly (readonly [key: string, value: string, code: Code, message: RegExp])[] = [
  ['web.limit', '11', Code.InvalidArgument, /^Cannot set web.limit: it must be a whole number from 1 to 10, but is 11$/],
  ['web.limit', 'many', Code.InvalidArgument, /but is "many"/],
  ['web.limt', '1', Code.NotFound, /There is no setting "web.limt"/],
  ['web.port', '81', Code.FailedPrecondition, /flag --port would win/],
  ['database.url', 'x', Code.FailedPrecondition, /needed before stored settings can be read/],
  ['folders.A1.path', '/x', Code.InvalidArgument, /named by letters/],
];

for (const [key, value, code, message] of refused) {
  test(`refuses ${key} = ${value}`, async () => {
    await withStore(async (live) => {
      await assert.rejects(live.set(key, value, 'ada', silentLog), (error) => {
        assert.ok(error instanceof Fault);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
    });
  });
}

test('what comes from elsewhere is unset there', async () => {
  await withStore(async (live) => {
    await assert.rejects(live.unset('web.port', 'ada', silentLog), /it comes from flag --port/);
  });
});

test('a view follows the settings that need no restart, and those only', async () => {
  await withStore(async (_, live) => {
    const view = settingsView('web', spec, () => live.settings);
    await live.set('web.limit', '9', 'ada', silentLog);
    await live.set('web.port', '33', 'ada', silentLog);
    assert.equal(view['limit'], 9);
    assert.equal(view['port'], 80);
    assert.throws(() => {
      (view as Record<string, unknown>)['limit'] = 1;
    }, TypeError);
  });
});

test('secrets are stored and not shown', async () => {
  await withStore(async (live) => {
    const view = await live.set('web.key', 'hunter2', 'ada', silentLog);
    assert.equal((view.value as Secret).reveal(), 'hunter2');
    assert.doesNotMatch(JSON.stringify(view.value), /hunter2/);
  });
});
