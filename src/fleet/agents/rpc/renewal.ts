import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { Renewal } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { AgentPlan } from '../logic/served-host.ts';

/** Has the certificate of an agent beside its host renewed. `assertServed` throws for a host it does not serve. */
export function renewalRpc(plan: unknown, assertServed: (host: string) => void, log: Log): Binding {
  const bundle = (plan as Partial<AgentPlan> | undefined)?.bundle;
  /** PEM of the key that was offered last. */
  let offered: string | undefined;

  function bundlePath(host: string): string {
    assertServed(host);
    if (bundle !== undefined) return bundle;
    throw failedPrecondition(`The agent of host "${host}" has no bundle: it is the platform's own`, { reason: 'bundle_missing' });
  }

  return implement(Renewal, {
    offerKey({ host }) {
      bundlePath(host);
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      offered = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
    },
    async takeCertificate({ host, certificate, ca }) {
      const path = bundlePath(host);
      if (offered === undefined) {
        throw failedPrecondition(`The agent of host "${host}" has offered no key since it was started`, {
          reason: 'key_unknown',
        });
      }
      const { parseBundle, replaceBundle, subjectName } = await import('#kernel/transports/ca/ca.ts');
      // Also that key and certificate belong together.
      const material = parseBundle(`${offered}${certificate}${ca}`, 'the renewed certificate');
      const read = new X509Certificate(certificate);
      const issuers = material.ca.split(/(?<=-----END CERTIFICATE-----\n)/).map((pem) => new X509Certificate(pem));
      if (subjectName(material) !== host || !issuers.some(({ publicKey }) => read.verify(publicKey))) {
        throw invalidArgument(`The renewed certificate is none for host "${host}" of the CA it came with`, {
          reason: 'certificate_invalid',
        });
      }
      try {
        await replaceBundle(path, material);
      } catch (cause) {
        throw failedPrecondition(`The agent of host "${host}" cannot replace its bundle ${path}: ${(cause as Error).message}`, {
          ...{ reason: 'bundle_unwritable', cause },
          hint: 'Let its account write to that folder, or enrol it again in time.',
        });
      }
      offered = undefined;
      log.info('the certificate of this agent was renewed', { host, until: read.validToDate.toISOString() });
      return {};
    },
  });
}
