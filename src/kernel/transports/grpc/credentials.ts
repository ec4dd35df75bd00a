import { checkServerIdentity } from 'node:tls';
import { type ChannelCredentials, experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { TlsIdentity } from '../ca/tls.ts';

type Provider = experimental.CertificateProvider;
type CaListener = Parameters<Provider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0];

/** Credentials of a server that asks every client for a certificate of the CA, and follow renewals. */
export function serverCredentials(identity: TlsIdentity): ServerCredentials {
  const provider = createProvider(identity);
  return experimental.createCertificateProviderServerCredentials(provider, provider, true);
}

/**
 * The name clients give in the TLS greeting in place of the host's, since an address is not allowed there. Which machine it is, is
 * decided by the host's own name or address in the certificate.
 */
export const greetingName = 'cellar.internal';

export function channelCredentials(identity: TlsIdentity, host: string): ChannelCredentials {
  const provider = createProvider(identity);
  return experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  });
}

function createProvider(identity: TlsIdentity): Provider {
  const caListeners = new Map<CaListener, () => void>();
  const identityListeners = new Map<IdentityListener, () => void>();
  return {
    addCaCertificateListener: (listener) => {
      const tell = (): void => listener({ caCertificate: Buffer.from(identity.material.ca) });
      caListeners.set(listener, identity.watch(tell));
      process.nextTick(tell);
    },
    removeCaCertificateListener: (listener) => {
      caListeners.get(listener)?.();
      caListeners.delete(listener);
    },
    addIdentityCertificateListener: (listener) => {
      const tell = (): void => {
        const { cert, key } = identity.material;
        listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) });
      };
      identityListeners.set(listener, identity.watch(tell));
      process.nextTick(tell);
    },
    removeIdentityCertificateListener: (listener) => {
      identityListeners.get(listener)?.();
      identityListeners.delete(listener);
    },
  };
}
