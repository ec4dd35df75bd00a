import { permissionDenied } from '#kernel/fault.ts';

/** What the plan of an agent beside its host says. */
export interface AgentPlan {
  /** The one host it serves, as its certificate says. */
  readonly host: string;
  /** File with its key and certificate, which a renewal replaces. */
  readonly bundle: string;
}

/** Throws for a host that an agent beside another one must not serve; the platform's own agent serves all. */
export function servedHost(plan: unknown): (host: string) => void {
  const own = (plan as Partial<AgentPlan> | undefined)?.host;
  return (host) => {
    if (own === undefined || host === own) return;
    throw permissionDenied(`This agent serves host "${own}", not "${host}"`, { reason: 'host_not_served' });
  };
}
