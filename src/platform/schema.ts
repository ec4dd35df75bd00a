import { sectionsOf } from '#kernel/process/instances.ts';
import { Schema } from '#kernel/settings/schema.ts';
import type { Catalogue } from './catalogue.ts';
import { platformSections } from './settings.ts';

/** Every setting of an installation: the platform's, then each service's. */
export function settingsSchema({ definitions }: Pick<Catalogue, 'definitions'>): Schema {
  return new Schema([...platformSections, ...sectionsOf(definitions)]);
}
