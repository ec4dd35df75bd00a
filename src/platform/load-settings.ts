import { homePaths } from '#kernel/process/paths.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';
import { readSettingsFile } from '#kernel/settings/file.ts';
import { LiveSettings } from '#kernel/settings/live-settings.ts';
import { type Given, readEnvironment } from '#kernel/settings/resolve.ts';
import { settingsSchema } from './schema.ts';

export interface LoadOptions {
  readonly home: string;
  readonly definitions: readonly ServiceDefinition[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly flags: readonly Given[];
}

export interface LoadedSettings {
  readonly live: LiveSettings;
  /** Variables that begin like ours and name no setting. */
  readonly unknownVariables: readonly string[];
}

/** Settings from `cellar.yaml`, environment and flags; stored ones are added by `LiveSettings.follow`. Errors: `invalid_argument` with every problem. */
export async function loadSettings({ home, definitions, environment, flags }: LoadOptions): Promise<LoadedSettings> {
  const schema = settingsSchema(definitions);
  const file = await readSettingsFile(schema, homePaths(home).settings);
  const variables = readEnvironment(schema, environment);
  const live = new LiveSettings(schema, [...file.given, ...variables.given, ...flags], file.problems);
  return { live, unknownVariables: variables.unknown };
}
