import type { Limits } from '#kernel/process/supervise.ts';
import { type Settings, sectionOf } from '#kernel/settings/resolve.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { platformSettings } from './settings.ts';

/** The supervisor's limits as the settings have them. */
export function limitsOf(settings: Settings): Limits {
  const spec = platformSettings.process;
  const { memoryMaxMib, ...limits } = sectionOf(settings, 'process', spec) as SettingsOf<typeof spec>;
  return { ...limits, memoryMaxBytes: memoryMaxMib * 1_048_576 };
}
