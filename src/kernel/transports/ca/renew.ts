import { rest } from '#lib/rest.ts';
import type { Log } from '../../log.ts';
import { expiryMs } from './ca.ts';
import type { TlsIdentity, TlsMaterial } from './tls.ts';

export interface RenewOptions {
  /** Gives the material to use from now on: the same until it is due, such as `ensureCertificate` with the CA at hand. */
  readonly ensure: () => Promise<TlsMaterial>;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Default one hour. Unit: milliseconds. */
  readonly everyMs?: number;
}

/** Keeps an identity from expiring until `signal` aborts. A failure is logged and tried again: most of the certificate's life is left. */
export async function keepRenewed(identity: TlsIdentity, options: RenewOptions): Promise<void> {
  const { ensure, log, signal, everyMs = 3_600_000 } = options;
  while (!signal.aborted) {
    try {
      const material = await ensure();
      const { cert, ca } = identity.material;
      if (material.cert !== cert || material.ca !== ca) {
        identity.renew(material);
        log.info('the certificate of this machine was renewed', { until: new Date(expiryMs(material)).toISOString() });
      }
    } catch (error) {
      log.error('the certificate of this machine could not be renewed', {
        until: new Date(expiryMs(identity.material)).toISOString(),
        error,
      });
    }
    await rest(everyMs, signal, { isRef: false });
  }
}
