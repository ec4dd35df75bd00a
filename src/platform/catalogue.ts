import type { DatasourceSettings } from '#data/plan.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';

/** Which instances serve the datasources. */
export interface Plan {
  readonly instances: readonly { readonly service: string; readonly instance: string; readonly plan: unknown }[];
  /** To be kept for the next plan: which parent folder belongs to which objects service. */
  readonly parents: Readonly<Record<string, string>>;
  /** What cannot be served and why, by datasource. */
  readonly problems: Readonly<Record<string, string>>;
}

/** All services an installation may run, and how its datasources become instances of them. */
export interface Catalogue {
  /** By the service's name. A process with one service loads that one's `main.ts` and no other. */
  readonly services: Readonly<Record<string, () => Promise<ServiceDefinition>>>;
  readonly plan: (
    datasources: Readonly<Record<string, DatasourceSettings>>,
    known: Readonly<Record<string, string>>,
    /** Files and folders of the installation itself, which no datasource may hold. */
    own: readonly string[],
  ) => Promise<Plan>;
}

/** Loads every definition. */
export function loadDefinitions({ services }: Pick<Catalogue, 'services'>): Promise<ServiceDefinition[]> {
  return Promise.all(Object.values(services).map((load) => load()));
}

/** Name of the service a full name belongs to: `cellar.grpc.data.index` of `cellar.grpc.data.index.docs`; undefined when there is none. */
export function serviceOf({ services }: Pick<Catalogue, 'services'>, fullName: string): string | undefined {
  return Object.keys(services)
    .filter((name) => fullName === name || fullName.startsWith(`${name}.`))
    .toSorted((a, b) => b.length - a.length)[0];
}
