import type { Database, Transaction } from '#kernel/database/database.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import type { Driver, EngineRef } from '../../driver/driver.ts';
import type { FleetStore } from '../store/store.ts';
import type { FleetEvent } from './events.ts';

/** A stored blueprint, ready to be used. */
export interface KnownBlueprint {
  readonly blueprint: Blueprint;
  readonly digest: string;
  readonly text: string;
  readonly isBuiltIn: boolean;
}

/** What the verbs of the fleet share. */
export interface ControlParts {
  readonly database: Database;
  readonly store: FleetStore;
  /** Events of the transaction they are about. */
  readonly append: (tx: Transaction, events: readonly FleetEvent[]) => Promise<void>;
  readonly driverOf: (host: string) => Promise<Driver>;
  /** Of an engine that belongs to no host yet. */
  readonly driverFor: (engine: EngineRef) => Promise<Driver>;
  /** Errors: `not_found` with reason `blueprint_missing`. */
  readonly blueprint: (name: string) => Promise<KnownBlueprint>;
  /** Has a cluster looked at soon. */
  readonly look: (cluster: string) => void;
  readonly now: () => number;
  readonly newId: () => string;
  /** Hexadecimal digits of so many random bytes. */
  readonly newSecret: (bytes: number) => string;
  readonly fleet: string;
}
