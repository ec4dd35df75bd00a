import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '../../fault.ts';
import { temporaryFolder } from '../../testing/engines.ts';
import { ensureCa, ensureCertificate, expiryMs, issueBundle, issueCertificate, parseBundle } from './ca.ts';

const dayMs = 86_400_000;
const nowMs = Date.UTC(2030, 0, 1);

test('a CA is made once, readable by its owner only, also by several at the same time', async () => {
  using folder = temporaryFolder();
  const home = join(folder.path, 'ca');
  const made = await Promise.all([ensureCa(home), ensureCa(home), ensureCa(home)]);
  assert.equal(new Set(made.map(({ cert }) => cert)).size, 1);
  assert.equal(statSync(home).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(home), ['ca.pem']);
  assert.equal(statSync(join(home, 'ca.pem')).mode & 0o777, 0o600);
  const cert = new X509Certificate(made[0].cert);
  assert.ok(cert.ca);
  assert.equal(cert.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

test('a certificate is signed by the CA and holds its names', async () => {
  using folder = temporaryFolder();
  const ca = await ensureCa(folder.path);
  const issued = await issueCertificate(ca, { name: 'machine-2', hosts: ['10.0.0.2', '::1', 'two.example'] });
  const cert = new X509Certificate(issued.cert);
  assert.ok(cert.verify(new X509Certificate(ca.cert).publicKey) && !cert.ca);
  assert.equal(cert.subject, 'CN=machine-2');
  assert.ok(cert.checkIP('10.0.0.2') && cert.checkIP('::1') && cert.checkHost('two.example') && cert.checkHost('machine-2'));
  await assert.rejects(issueCertificate(ca, { name: 'a,O=b', hosts: [] }), /letters, digits/);
});

test('a kept certificate is used until two thirds of its life have gone, or its names change', async () => {
  using folder = temporaryFolder();
  const ca = await ensureCa(folder.path, nowMs);
  const path = join(folder.path, 'machine.pem');
  const request = { name: 'one', hosts: ['127.0.0.1'] };
  const first = await ensureCertificate(ca, path, { ...request, nowMs });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal((await ensureCertificate(ca, path, { ...request, nowMs: nowMs + 59 * dayMs })).cert, first.cert);
  const renewed = await ensureCertificate(ca, path, { ...request, nowMs: nowMs + 61 * dayMs });
  assert.ok(expiryMs(renewed) > expiryMs(first));
  const renamed = await ensureCertificate(ca, path, {
    name: 'one',
    hosts: ['127.0.0.1', 'new.example'],
    nowMs: nowMs + 61 * dayMs,
  });
  assert.notEqual(renamed.cert, renewed.cert);
});

test('a CA near its end is followed by another, and stays trusted', async () => {
  using folder = temporaryFolder();
  const old = await ensureCa(folder.path, nowMs);
  const path = join(folder.path, 'machine.pem');
  const lateMs = nowMs + 19.5 * 365 * dayMs;
  const next = await ensureCa(folder.path, lateMs);
  assert.notEqual(next.cert, old.cert);
  assert.equal(next.trusted, next.cert + old.cert);
  assert.equal((await ensureCa(folder.path, lateMs)).trusted, next.trusted);
  assert.equal((await ensureCertificate(next, path, { name: 'one', hosts: [], nowMs: lateMs })).ca, next.trusted);
});

test('a bundle is all a machine needs, and a damaged one is refused', async () => {
  using folder = temporaryFolder();
  const ca = await ensureCa(folder.path);
  const bundle = await issueBundle(ca, { name: 'two', hosts: ['two.example'] });
  const material = parseBundle(bundle, 'bundle.pem');
  assert.equal(material.ca, ca.trusted);
  assert.equal(new X509Certificate(material.cert).subject, 'CN=two');
  const other = parseBundle(await issueBundle(ca, { name: 'two', hosts: [] }), 'bundle.pem');
  const isInvalid = (error: unknown): boolean => error instanceof Fault && error.code === 'invalid_argument';
  assert.throws(() => parseBundle(`${other.key}${material.cert}${material.ca}`, 'b'), isInvalid);
  assert.throws(() => parseBundle(material.cert + material.ca, 'b'), isInvalid);
  assert.throws(() => parseBundle(bundle.replace(/[A-Za-z]{20}/, 'A'.repeat(20)), 'b'), isInvalid);
  writeFileSync(join(folder.path, 'ca.pem'), 'nothing');
  await assert.rejects(ensureCa(folder.path), (error) => error instanceof Fault && error.code === 'failed_precondition');
});
