import { sectionName } from '#kernel/process/instances.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';
import { platformSections } from './settings.ts';

/** Sections of `cellar.yaml` a fork is told: the platform's and its own service's. */
export function sectionsFor(service: string, definitions: readonly ServiceDefinition[]): ReadonlySet<string> {
  const own = definitions.filter(
    ({ name, hasInstances }) => service === name || (hasInstances && service.startsWith(`${name}.`)),
  );
  return new Set([...platformSections.map(({ name }) => name), ...own.map(sectionName)]);
}
