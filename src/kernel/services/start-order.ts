/**
 * Puts services in an order in which each comes after those it needs. Needs that are not among them are taken as met elsewhere.
 * Errors: a plain `Error` that names the circle.
 */
export function startOrder<T>(
  services: readonly T[],
  nameOf: (service: T) => string,
  needsOf: (service: T) => readonly string[],
): T[] {
  const byName = new Map<string, T[]>();
  for (const service of services) byName.set(nameOf(service), [...(byName.get(nameOf(service)) ?? []), service]);
  const ordered: T[] = [];
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (done.has(name)) return;
    if (path.includes(name))
      throw new Error(`Cannot start: services need each other in a circle: ${[...path, name].join(' -> ')}`);
    const group = byName.get(name) ?? [];
    for (const service of group) for (const need of needsOf(service)) visit(need, [...path, name]);
    done.add(name);
    ordered.push(...group);
  };
  for (const service of services) visit(nameOf(service), []);
  return ordered;
}
