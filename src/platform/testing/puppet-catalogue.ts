import type { Catalogue } from '../catalogue.ts';
import { keeper, puppets } from './puppet.ts';

/** One puppet per datasource. */
export const puppetCatalogue: Catalogue = {
  services: { [keeper.name]: async () => keeper, [puppets.name]: async () => puppets },
  plan: async (datasources, known) => ({
    instances: Object.entries(datasources).map(([instance, { folder }]) => ({
      service: puppets.name,
      instance,
      plan: { folder },
    })),
    parents: known,
    problems: {},
  }),
};
