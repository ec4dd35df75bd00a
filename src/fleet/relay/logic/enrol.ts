import { X509Certificate } from 'node:crypto';
import { type Ca, expiryMs, issueBundle, parseBundle } from '#kernel/transports/ca/ca.ts';
import type { Enrolment } from '../store/enrolments.ts';

/** A new key with a certificate for the agent of a host, good for nothing but to dial in as that. */
export async function makeBundle(
  ca: Ca,
  host: string,
  days: number,
  nowMs: number,
): Promise<{ readonly bundle: string; readonly enrolment: Enrolment }> {
  const bundle = await issueBundle(ca, { name: host, hosts: [], uses: ['client'], days, nowMs });
  const material = parseBundle(bundle, 'the new bundle');
  const fingerprint = new X509Certificate(material.cert).fingerprint256;
  return { bundle, enrolment: { host, fingerprint, enrolMs: nowMs, expireMs: expiryMs(material) } };
}
