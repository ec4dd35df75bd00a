import type { Enrolment, Enrolments } from '../store/enrolments.ts';

/** The certificate that the agent of a host has by now, as far as it is known. */
export async function newestCertificate(enrolments: Enrolments, enrolment: Enrolment): Promise<Enrolment> {
  return (await enrolments.renewals(enrolment.host)).find(({ isTaken }) => isTaken) ?? enrolment;
}

/** When a third of its life is left, as of all certificates here. */
export const isDue = ({ enrolMs, expireMs }: Enrolment, nowMs: number): boolean => expireMs - nowMs < (expireMs - enrolMs) / 3;
