import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Setting, SettingSchema, Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Running } from '#kernel/services/service.ts';
import type { SettingView } from '#kernel/settings/live-settings.ts';
import type { Platform } from '../platform.ts';

export function createServer({ settings, log }: Pick<Platform, 'settings' | 'log'>): Running {
  return {
    bindings: [
      implement(Settings, {
        listSettings: () => ({ settings: settings.list().map(settingMessage) }),
        getSetting: ({ key }) => settingMessage(settings.get(key)),
        setSetting: async ({ key, value }, call) => settingMessage(await settings.set(key, value, call.caller.name, log)),
        unsetSetting: async ({ key }, call) => {
          const view = await settings.unset(key, call.caller.name, log);
          return view ? settingMessage(view) : create(SettingSchema, { key, value: 'null', source: 'default' });
        },
      }),
    ],
  };
}

/** A setting as people see it, its value as JSON; secrets are not shown. */
export function settingMessage({ entry, value, source, where, version }: SettingView): Setting {
  const { setting, key } = entry;
  const init: MessageInitShape<typeof SettingSchema> = {
    key,
    value: JSON.stringify(value) ?? 'null',
    defaultValue: JSON.stringify(setting.default) ?? 'null',
    type: setting.kind,
    unit: setting.unit,
    meaning: setting.meaning,
    source,
    version: BigInt(version),
    needsRestart: setting.needsRestart,
    where,
    allowed: setting.allowed,
  };
  return create(SettingSchema, init);
}
