/** Something that happened to an object, and why. */
export interface FleetEvent {
  /** `host`, `cluster`, `claim` or `operation`. */
  readonly kind: 'host' | 'cluster' | 'claim' | 'operation';
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
}
