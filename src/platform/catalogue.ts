import type { DataPlan } from '#data/plan.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';

/** All services an installation may run, and how its datasources become instances of them. */
export interface Catalogue {
  readonly definitions: readonly ServiceDefinition[];
  readonly plan: (
    datasources: Readonly<Record<string, { readonly folder: string }>>,
    known: Readonly<Record<string, string>>,
  ) => DataPlan;
}
