import type { Database } from '#kernel/database/database.ts';
import { createBlueprintRows } from './blueprint-rows.ts';
import { createClaimRows } from './claim-rows.ts';
import { createClusterRows } from './cluster-rows.ts';
import { createHostRows } from './host-rows.ts';
import { createOperationRows } from './operation-rows.ts';
import { createSnapshotRows } from './snapshot-rows.ts';
import type { FleetStore } from './store.ts';

/** The store on a database with the tables of `migrations`. */
export function createFleetStore(database: Database): FleetStore {
  return {
    ...createHostRows(database),
    ...createClusterRows(database),
    ...createClaimRows(database),
    ...createOperationRows(database),
    ...createBlueprintRows(database),
    ...createSnapshotRows(database),
  };
}
