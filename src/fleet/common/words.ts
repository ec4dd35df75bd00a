export type AgentType = 'process' | 'docker' | 'swarm' | 'kubernetes' | 'simulated';

/** Texts by name. */
export type Labels = Readonly<Record<string, string>>;

/** `degraded`: it serves, with members missing or behind. `unknown`: it could not be asked, which is not the same as failed. */
export type Health = 'ok' | 'degraded' | 'failed' | 'unknown';

/** What the blueprint's health rules said about the whole cluster. */
export interface HealthVerdict {
  readonly health: Health;
  readonly reason: string;
  readonly message: string;
}

/** One member as the blueprint's plan has it. */
export interface MemberGoal {
  readonly name: string;
  readonly role: string;
  /** Names of members that have to be ready before it starts. */
  readonly after: readonly string[];
}

/** A port of the host that a member needs. */
export interface PortWish {
  readonly member: string;
  readonly name: string;
}

export interface ReservedPort extends PortWish {
  readonly port: number;
}
