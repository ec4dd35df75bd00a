import { index } from '#data/index/main.ts';
import { objects } from '#data/objects/main.ts';
import { planData } from '#data/plan.ts';
import { policyStore } from '#identity/policies/main.ts';
import { policies } from '#identity/policies-rest/main.ts';
import { users } from '#identity/users/main.ts';
import type { Catalogue } from '#platform/catalogue.ts';

/** Every service of Cellar beside the platform's own two. A new service is added here. */
export const catalogue: Catalogue = {
  definitions: [users, policyStore, policies, objects, index],
  plan: planData,
};
