import { sectionsOf } from '#kernel/process/instances.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';
import { Schema } from '#kernel/settings/schema.ts';
import { platformSections } from './settings.ts';

/** Every setting of an installation: the platform's, then each service's. */
export function settingsSchema(definitions: readonly ServiceDefinition[]): Schema {
  return new Schema([...platformSections, ...sectionsOf(definitions)]);
}
