import { type Registry, ServiceState } from '../services/registry.ts';
import type { ServiceDefinition } from '../services/service.ts';
import type { Section } from '../settings/schema.ts';
import { untilRegistry } from './until-registry.ts';

/** A service another one needs, as far as waiting for it goes. */
export type Need = Pick<ServiceDefinition, 'name' | 'hasInstances'>;

/** What a service needs, among those there are. */
export function needsOf({ needs }: ServiceDefinition, definitions: readonly ServiceDefinition[]): Need[] {
  return definitions.filter(({ name }) => needs.includes(name)).map(({ name, hasInstances = false }) => ({ name, hasInstances }));
}

/**
 * Resolves when everything the instance needs is ready, or has failed once: a broken neighbour must not hold the others up for ever.
 * `instance` is its own, such as `docs`: of needs with one of that name it waits for that one only.
 */
export async function waitForNeeds(
  needs: readonly Need[],
  instance: string,
  registry: Registry,
  signal: AbortSignal,
): Promise<void> {
  await untilRegistry(registry, signal, () => needs.every((need) => isSettled(need, instance, registry)));
}

function isSettled(need: Need, instance: string, registry: Registry): boolean {
  const own = need.hasInstances ? registry.get(`${need.name}.${instance}`) : undefined;
  const all = own
    ? [own]
    : registry.all.filter(({ service }) => service === need.name || (need.hasInstances && service.startsWith(`${need.name}.`)));
  if (all.length === 0) return need.hasInstances === true;
  return all.every(({ state, reason }) => state !== ServiceState.Starting || reason !== '');
}

/** Section of `cellar.yaml` that holds a service's settings. */
export function sectionName({ section, name }: Pick<ServiceDefinition, 'section' | 'name'>): string {
  return section ?? name.replace(/^cellar\.[a-z]+\./, '');
}

export function sectionsOf(definitions: readonly ServiceDefinition[]): Section[] {
  return definitions
    .filter(({ settings }) => Object.keys(settings).length > 0)
    .map((definition) => ({ name: sectionName(definition), settings: definition.settings, owner: definition.name }));
}
