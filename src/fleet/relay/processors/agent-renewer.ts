import { Renewal } from '#gen/cellar/fleet/v1/agents_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import type { Channel } from '#kernel/calls/channel.ts';
import { createClient } from '#kernel/calls/client.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { Ca } from '#kernel/transports/ca/ca.ts';
import { agentService } from '../../common/services.ts';
import { isDue, newestCertificate } from '../logic/newest-certificate.ts';
import type { Enrolments } from '../store/enrolments.ts';

export interface RenewerParts {
  readonly enrolments: Enrolments;
  readonly ca: () => Promise<Ca>;
  readonly caller: Caller;
  readonly log: Log;
  readonly now: () => number;
}

/**
 * Renews the certificate of a connected agent when it is due. Both the old and the new one count until the agent has come with the new one, so
 * a kill anywhere locks nobody out. Result: whether it was. Never rejects: what fails is noted, and tried again.
 */
export async function renewAgent(parts: RenewerParts, host: string, channel: Channel): Promise<boolean> {
  const { enrolments, ca, caller, log, now } = parts;
  try {
    const enrolment = await enrolments.find(host);
    if (!enrolment || !isDue(await newestCertificate(enrolments, enrolment), now())) return false;
    const agent = createClient(Renewal, { route: () => ({ channel, service: agentService }), caller });
    const { publicKey } = await agent.offerKey({ host });
    const { certifyAgent } = await import('../logic/enrol.ts');
    const { certificate, trusted, enrolment: next } = await certifyAgent(await ca(), enrolment, publicKey, now());
    const renewed = { ...next, isTaken: false };
    // Before the agent has it: it may come with it, and its answer be lost.
    if (!(await enrolments.renew(enrolment, renewed))) return false;
    await agent.takeCertificate({ host, certificate, ca: trusted });
    await enrolments.taken(renewed);
    log.info('the certificate of an agent was renewed', { host, until: new Date(next.expireMs).toISOString() });
    return true;
  } catch (error) {
    const { code, reason, message } = Fault.from(error);
    const why = code === Code.Unimplemented ? 'it is of a version that cannot: enrol it again in time' : message;
    log.warn('the certificate of an agent could not be renewed', { host, reason, why });
    return false;
  }
}
