import { createPrivateKey, randomBytes, type webcrypto } from 'node:crypto';
import type { Labels } from '../../common/words.ts';

export interface CertificateWish {
  readonly member: string;
  readonly name: string;
  readonly authority: string;
  /** Organizational unit of the subject. */
  readonly unit?: string;
}

const days = 3650;
const dayMs = 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const authorityPrefix = 'authority/';

/** What a member's certificate and key are called among the secrets of a cluster. */
export const secretNames = (member: string, name: string): { readonly certificate: string; readonly key: string } => ({
  certificate: `certificate/${member}/${name}`,
  key: `key/${member}/${name}`,
});

export const authorityName = (name: string): string => authorityPrefix + name;

/** PEM of the authorities' certificates, by name. */
export function authoritiesIn(secrets: Labels): Labels {
  const own = Object.entries(secrets).filter(([name]) => name.startsWith(authorityPrefix));
  return Object.fromEntries(own.map(([name, pem]) => [name.slice(authorityPrefix.length), pem]));
}

/**
 * Certificates with P-256 keys as PEM, for ten years, and those of the authorities that are named; whose keys are thrown away, so that nobody
 * can add to them.
 */
export async function makeCertificates(wishes: readonly CertificateWish[], nowMs: number): Promise<Labels> {
  if (wishes.length === 0) return {};
  // Heavy, and needed by few blueprints.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const notBefore = new Date(nowMs - 300_000);
  const notAfter = new Date(nowMs + days * dayMs);
  const made: Record<string, string> = {};
  const authorities = new Map<
    string,
    { readonly keys: webcrypto.CryptoKeyPair; readonly cert: InstanceType<typeof x509.X509Certificate> }
  >();
  for (const name of new Set(wishes.map(({ authority }) => authority))) {
    const keys = await makeKeys();
    const cert = await x509.X509CertificateGenerator.createSelfSigned({
      ...{
        serialNumber: serialNumber(),
        name: `CN=ca.${name},O=${name}`,
        notBefore,
        notAfter,
        signingAlgorithm: algorithm,
        keys,
      },
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    authorities.set(name, { keys, cert });
    made[authorityName(name)] = `${cert.toString('pem')}\n`;
  }
  for (const { member, name, authority, unit } of wishes) {
    const issuer = authorities.get(authority);
    if (!issuer) throw new Error(`There is no authority "${authority}"`);
    const keys = await makeKeys();
    const cert = await x509.X509CertificateGenerator.create({
      ...{ serialNumber: serialNumber(), notBefore, notAfter, signingAlgorithm: algorithm },
      subject: unit === undefined ? `CN=${member}` : `CN=${member},OU=${unit}`,
      issuer: issuer.cert.subject,
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: member },
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.cert),
      ],
    });
    const names = secretNames(member, name);
    made[names.certificate] = `${cert.toString('pem')}\n`;
    made[names.key] = await pemOf(keys.privateKey);
  }
  return made;
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  const usages: webcrypto.KeyUsage[] = ['sign', 'verify'];
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, usages) as Promise<webcrypto.CryptoKeyPair>;
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** Positive, as the standard asks. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
