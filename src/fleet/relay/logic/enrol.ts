import { X509Certificate } from 'node:crypto';
import { type Ca, certifyKey, expiryMs, issueBundle, parseBundle } from '#kernel/transports/ca/ca.ts';
import type { Enrolment } from '../store/enrolments.ts';

const dayMs = 86_400_000;

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

/** A certificate that lasts as long as the one before, for a key that the agent keeps to itself. Errors: `invalid_argument`. */
export async function certifyAgent(
  ca: Ca,
  { host, enrolMs, expireMs }: Enrolment,
  publicKey: string,
  nowMs: number,
): Promise<{ readonly certificate: string; readonly trusted: string; readonly enrolment: Enrolment }> {
  const days = (expireMs - enrolMs) / dayMs;
  const material = await certifyKey(ca, { name: host, hosts: [], uses: ['client'], days, nowMs }, publicKey);
  const { fingerprint256: fingerprint } = new X509Certificate(material.cert);
  const enrolment = { host, fingerprint, enrolMs: nowMs, expireMs: expiryMs(material) };
  return { certificate: material.cert, trusted: material.ca, enrolment };
}
