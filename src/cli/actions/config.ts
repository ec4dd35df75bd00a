import { toJson } from '@bufbuild/protobuf';
import { type Setting, SettingSchema, Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import { openDatabase } from '#kernel/database/open.ts';
import { notFound } from '#kernel/fault.ts';
import { openLiveConfig } from '#kernel/live-config/live-config.ts';
import { silentLog } from '#kernel/log.ts';
import { isHomeLocked, lockHome } from '#kernel/process/lock.ts';
import { databaseUrl } from '#kernel/process/surroundings.ts';
import type { LiveSettings } from '#kernel/settings/live-settings.ts';
import { loadDefinitions } from '#platform/catalogue.ts';
import { loadSettings } from '#platform/load-settings.ts';
import { settingMessage } from '#platform/settings-service/server.ts';
import { catalogue } from '../../catalogue.ts';
import type { CliContext } from '../command.ts';
import { formatFields } from '../output/table.ts';
import { adminClient } from './admin-client.ts';

/** The verbs of settings, asked of the server or, when none runs, done on the store itself. */
interface SettingsAccess {
  list(): Promise<readonly Setting[]>;
  get(key: string): Promise<Setting>;
  set(key: string, value: string): Promise<Setting>;
  /** Result: what holds now; undefined when the key is gone. */
  unset(key: string): Promise<Setting | undefined>;
}

export async function listSettings(
  context: CliContext,
  prefix: string | undefined,
  options: { readonly changed?: boolean },
): Promise<void> {
  const all = await withSettings(context, (settings) => settings.list());
  const found = all.filter(({ key, source }) => key.startsWith(prefix ?? '') && (!options.changed || source !== 'default'));
  if (prefix && found.length === 0 && !options.changed) throw notFound(`No setting begins with "${prefix}"`);
  context.output.table(
    found,
    [
      { title: 'key', value: ({ key }) => key },
      { title: 'value', value: ({ value, unit }) => `${plainValue(value)}${unit ? ` ${unit}` : ''}` },
      {
        title: 'from',
        value: ({ where }) => where,
        paint: (text, { source }) => (source === 'default' ? context.output.style.dim(text) : text),
      },
      { title: 'meaning', value: ({ meaning }) => meaning },
    ],
    found.map(json),
  );
}

export async function getSetting(context: CliContext, key: string): Promise<void> {
  show(context, await withSettings(context, (settings) => settings.get(key)));
}

export async function setSetting(context: CliContext, key: string, value: string): Promise<void> {
  const setting = await withSettings(context, (settings) => settings.set(key, value));
  show(context, setting, `Set ${key} to ${plainValue(setting.value)}.`);
}

export async function unsetSetting(context: CliContext, key: string): Promise<void> {
  const setting = await withSettings(context, (settings) => settings.unset(key));
  if (setting) show(context, setting, `${key} is ${plainValue(setting.value)} again (${setting.where}).`);
  else context.output.result({ key }, () => `${key} is gone.`);
}

export async function checkSettings(context: CliContext): Promise<void> {
  const { home, env, output } = context;
  const { live, unknownVariables } = await loadSettings({
    home,
    definitions: await loadDefinitions(catalogue),
    environment: env,
    flags: [],
  });
  for (const name of unknownVariables) output.warn(`the environment variable ${name} names no setting`);
  const changed = live.list().filter(({ source }) => source !== 'default').length;
  output.result({ ok: true, changed, unknownVariables }, () => `The settings are right; ${changed} differ from their defaults.`);
}

async function withSettings<T>(context: CliContext, use: (settings: SettingsAccess) => Promise<T>): Promise<T> {
  const { signal } = context;
  const isOffline =
    context.server === undefined && !isHomeLocked(context.home) && !context.tokenFile && !context.env['CELLAR_TOKEN'];
  if (isOffline) return withStore(context, use);
  await using admin = await adminClient(context, Settings);
  return await use({
    list: async () => (await admin.client.listSettings({}, { signal })).settings,
    get: (key) => admin.client.getSetting({ key }, { signal }),
    set: (key, value) => admin.client.setSetting({ key, value }, { signal }),
    unset: async (key) => {
      const setting = await admin.client.unsetSetting({ key }, { signal });
      return setting.value === 'null' ? undefined : setting;
    },
  });
}

/** The stopped installation's own store, held so that no server starts meanwhile. */
async function withStore<T>({ home, env }: CliContext, use: (settings: SettingsAccess) => Promise<T>): Promise<T> {
  const lock = await lockHome(home);
  try {
    const { live } = await loadSettings({ home, definitions: await loadDefinitions(catalogue), environment: env, flags: [] });
    const name = 'cellar.grpc.settings';
    const database = openDatabase({ url: databaseUrl(home, live.settings, name), name, log: silentLog, durable: true });
    try {
      await live.load(await openLiveConfig({ database }), silentLog);
      return await use(directAccess(live));
    } finally {
      await database.close();
    }
  } finally {
    await lock.release();
  }
}

function directAccess(live: LiveSettings): SettingsAccess {
  const author = 'operator';
  return {
    list: async () => live.list().map(settingMessage),
    get: async (key) => settingMessage(live.get(key)),
    set: async (key, value) => settingMessage(await live.set(key, value, author, silentLog)),
    unset: async (key) => {
      const view = await live.unset(key, author, silentLog);
      return view && settingMessage(view);
    },
  };
}

function show(context: CliContext, setting: Setting, sentence?: string): void {
  const { output } = context;
  const later = setting.needsRestart ? 'It takes effect when the server is started again.' : '';
  output.result(json(setting), () => {
    if (sentence) return [sentence, later].filter(Boolean).join(' ');
    const { key, value, unit, where, defaultValue, allowed, meaning } = setting;
    return formatFields(
      {
        key,
        value: `${plainValue(value)}${unit ? ` ${unit}` : ''}`,
        from: where,
        default: plainValue(defaultValue),
        ...(allowed ? { allowed } : {}),
        meaning,
        ...(setting.needsRestart ? { note: 'A change takes effect when the server is started again.' } : {}),
      },
      output.style,
    );
  });
}

/** As people write it: words without quotes. */
function plainValue(value: string): string {
  const parsed: unknown = JSON.parse(value);
  return typeof parsed === 'string' ? parsed || '""' : value;
}

function json(setting: Setting): unknown {
  return {
    ...(toJson(SettingSchema, setting, { alwaysEmitImplicit: true }) as object),
    value: JSON.parse(setting.value) as unknown,
  };
}
