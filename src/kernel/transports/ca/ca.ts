import { createPrivateKey, createPublicKey, randomBytes, type webcrypto, X509Certificate } from 'node:crypto';
import { link, mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { failedPrecondition, invalidArgument } from '../../fault.ts';
import type { TlsMaterial } from './tls.ts';

/** The certificate authority of one installation: whoever holds a certificate of it is a machine of the platform. */
export interface Ca {
  /** PEM of all certificates that are trusted, the current one first. */
  readonly trusted: string;
  /** PEM of the current certificate. */
  readonly cert: string;
  /** PEM. A secret. */
  readonly key: string;
}

export interface CertificateRequest {
  /** The machine or service; becomes the subject, and the caller of calls that state none. */
  readonly name: string;
  /** Names and addresses others reach it by. */
  readonly hosts: readonly string[];
  /** What it may be used as. Default: both. */
  readonly uses?: readonly CertificateUse[];
  /** Default 90. */
  readonly days?: number;
  readonly nowMs?: number;
}

export type CertificateUse = 'server' | 'client';

const dayMs = 86_400_000;
const caDays = 20 * 365;
/** A CA that ends sooner is followed by a new one, while the old one stays trusted. */
const caDaysLeftMin = 365;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/**
 * The CA kept in `folder` (`CELLAR_HOME/ca`), made when there is none. One file with mode 0600 holds key and certificates, so that they
 * are replaced together; whoever makes it first wins.
 * Errors: `failed_precondition` when the file cannot be read as a CA.
 */
export async function ensureCa(folder: string, nowMs: number = Date.now()): Promise<Ca> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'ca.pem');
  const known = await readCa(path);
  if (!known) {
    await writeOnce(path, renderCa(await makeCa(nowMs, '')));
    const made = await readCa(path);
    if (!made) throw failedPrecondition(`Cannot read the CA at ${path}, which was just made`);
    return made;
  }
  if (new X509Certificate(known.cert).validToDate.getTime() - nowMs > caDaysLeftMin * dayMs) return known;
  const next = await makeCa(nowMs, known.trusted);
  await replace(path, renderCa(next));
  return next;
}

/** A certificate with a new P-256 key. */
export async function issueCertificate(ca: Ca, request: CertificateRequest): Promise<TlsMaterial> {
  const keys = await makeKeys();
  return { ...(await signKey(ca, request, keys.publicKey)), key: await exportKey(keys.privateKey) };
}

/**
 * A certificate for a key that stays where it is; `publicKey` is its PEM, of the curve P-256.
 * Errors: `invalid_argument`.
 */
export async function certifyKey(ca: Ca, request: CertificateRequest, publicKey: string): Promise<Omit<TlsMaterial, 'key'>> {
  try {
    const { asymmetricKeyDetails: details } = createPublicKey(publicKey);
    if (details?.namedCurve !== 'prime256v1') throw new Error('it is of another curve');
  } catch (cause) {
    throw invalidArgument(`Cannot issue a certificate for "${request.name}": its key is none of the curve P-256`, { cause });
  }
  return await signKey(ca, request, new x509.PublicKey(publicKey));
}

async function signKey(
  ca: Ca,
  request: CertificateRequest,
  publicKey: webcrypto.CryptoKey | x509.PublicKey,
): Promise<Omit<TlsMaterial, 'key'>> {
  const { name, hosts, days = 90, uses = ['server', 'client'], nowMs = Date.now() } = request;
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
    throw invalidArgument(`Cannot issue a certificate for "${name}": a name has 1 to 64 letters, digits, dots and dashes`);
  }
  const issuer = new x509.X509Certificate(ca.cert);
  const signingKey = await importKey(ca.key);
  const names = [...new Set([name, ...hosts])].map(
    (host): x509.JsonGeneralName => ({ type: isIP(host) ? 'ip' : 'dns', value: host }),
  );
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: issuer.subject,
    // Clocks of machines differ a little.
    notBefore: new Date(nowMs - 300_000),
    notAfter: new Date(Math.min(nowMs + days * dayMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(uses.map((use) => x509.ExtendedKeyUsage[`${use}Auth`])),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { ca: ca.trusted, cert: `${cert.toString('pem')}\n` };
}

/**
 * The certificate kept at `path`, issued anew when there is none, when its names differ or when less than a third of its life is left.
 * The file has mode 0600.
 */
export async function ensureCertificate(ca: Ca, path: string, request: CertificateRequest): Promise<TlsMaterial> {
  const text = await readOrUndefined(path);
  if (text !== undefined) {
    const kept = parseBundle(text, path);
    if (isFresh(kept, ca, request)) return { ...kept, ca: ca.trusted };
  }
  const issued = await issueCertificate(ca, request);
  await replace(path, renderBundle(issued));
  return issued;
}

/** What a second machine needs to join, as the text of one file: key, certificate, trusted CA. It is a secret. Default 365 days. */
export async function issueBundle(ca: Ca, request: CertificateRequest): Promise<string> {
  return renderBundle(await issueCertificate(ca, { days: 365, ...request }));
}

/** Reads what `issueBundle` gave. Errors: `invalid_argument`; `where` names the file, `hint` how to get another. */
export function parseBundle(
  text: string,
  where: string,
  hint = 'Make it anew with `cellar machine add NAME` on the first machine.',
): TlsMaterial {
  const [cert, ...trusted] = pems(text, 'CERTIFICATE');
  const [key] = pems(text, 'PRIVATE KEY');
  const [current] = trusted;
  if (!cert || !key || !current) {
    throw invalidArgument(`Cannot read ${where}: it does not hold a key, a certificate and the CA's certificate`, { hint });
  }
  let isPair: boolean;
  try {
    isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw invalidArgument(`Cannot read ${where}: its certificate or key is damaged`, { cause: error });
  }
  if (!isPair) throw invalidArgument(`Cannot use ${where}: its key does not belong to its certificate`);
  return { ca: trusted.join(''), cert, key };
}

/** Whom a certificate of `issueCertificate` is for. */
export function subjectName({ cert }: Pick<TlsMaterial, 'cert'>): string {
  return new X509Certificate(cert).subject.replace(/^CN=/, '');
}

/** Until when a certificate may be used. Unit: milliseconds since 1970. */
export function expiryMs({ cert }: Pick<TlsMaterial, 'cert'>): number {
  return new X509Certificate(cert).validToDate.getTime();
}

function isFresh(kept: TlsMaterial, ca: Ca, { name, hosts, nowMs = Date.now() }: CertificateRequest): boolean {
  const cert = new X509Certificate(kept.cert);
  const [fromMs, toMs] = [cert.validFromDate.getTime(), cert.validToDate.getTime()];
  const isNamed =
    cert.subject === `CN=${name}` && hosts.every((host) => (isIP(host) ? cert.checkIP(host) : cert.checkHost(host)));
  return isNamed && toMs - nowMs > (toMs - fromMs) / 3 && cert.verify(new X509Certificate(ca.cert).publicKey);
}

async function makeCa(nowMs: number, older: string): Promise<Ca> {
  const keys = await makeKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Cellar CA ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(nowMs - 300_000),
    notAfter: new Date(nowMs + caDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pem = `${cert.toString('pem')}\n`;
  const stillValid = pems(older, 'CERTIFICATE').filter((old) => new X509Certificate(old).validToDate.getTime() > nowMs);
  return { trusted: [pem, ...stillValid].join(''), cert: pem, key: await exportKey(keys.privateKey) };
}

async function readCa(path: string): Promise<Ca | undefined> {
  const text = await readOrUndefined(path);
  if (text === undefined) return undefined;
  const [key] = pems(text, 'PRIVATE KEY');
  const certificates = pems(text, 'CERTIFICATE');
  const [cert] = certificates;
  if (!key || !cert) {
    throw failedPrecondition(`Cannot read the CA at ${path}: it holds no key and certificate`, {
      hint: 'Restore it from a backup; or remove it, start again, and let the other machines join anew.',
    });
  }
  return { key, cert, trusted: certificates.join('') };
}

function renderCa({ key, trusted }: Ca): string {
  return `${key}${trusted}`;
}

function renderBundle({ key, cert, ca }: TlsMaterial): string {
  return `${key}${cert}${ca}`;
}

function pems(text: string, label: string): string[] {
  return [...text.matchAll(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g'))].map(([pem]) => `${pem}\n`);
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]) as Promise<webcrypto.CryptoKeyPair>;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString();
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  return crypto.subtle.importKey('pkcs8', new Uint8Array(der), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}

// Positive, as the standard asks.
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function readOrUndefined(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw failedPrecondition(`Cannot read ${path}`, { cause: error, hint: 'May this process read it?' });
  }
}

/** Puts a bundle in place of the one at `path`, whole or not at all, with mode 0600. */
export async function replaceBundle(path: string, material: TlsMaterial): Promise<void> {
  await replace(path, renderBundle(material));
  await using folder = await open(dirname(path));
  await folder.sync();
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = await writeTemporary(path, text);
  await rename(temporary, path);
}

async function writeOnce(path: string, text: string): Promise<void> {
  const temporary = await writeTemporary(path, text);
  try {
    await link(temporary, path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  } finally {
    await unlink(temporary);
  }
}

async function writeTemporary(path: string, text: string): Promise<string> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}
