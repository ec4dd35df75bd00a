import type { Labels } from '../../common/words.ts';
import type { ClusterFacts } from '../store/store.ts';

/** Something that happened to an object, and why. */
export interface FleetEvent {
  readonly kind: 'host' | 'cluster' | 'claim' | 'operation' | 'webhook';
  readonly name: string;
  /** One word for programs, such as `ClusterReady`. */
  readonly reason: string;
  /** One sentence for people. */
  readonly message: string;
  /** A user's name, or the part of Cellar that did it. */
  readonly actor: string;
  readonly severity: 'info' | 'warning' | 'error';
  readonly host?: string;
  readonly cluster?: string;
  /** Of that cluster. */
  readonly blueprint?: string;
  readonly labels?: Labels;
  /** User id: who had that cluster then, or whose claim it is. */
  readonly owner?: string;
}

/** What an event says of the cluster it is about, so that it can be told from others when the cluster is gone. */
export const factsOf = ({ host, blueprint, labels, owner }: ClusterFacts): ClusterFacts => ({
  ...{ host, blueprint, labels },
  ...(owner ? { owner } : {}),
});
