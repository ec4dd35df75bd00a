import { createHash } from 'node:crypto';
import type { CustomerKey, Encryption, EncryptionRequest } from './backend.ts';
import type { BucketSettings } from './bucket-settings.ts';
import { S3Error } from './errors.ts';

const serverSide = 'x-amz-server-side-encryption';
const keySizeBytes = 32;

/** The key that KMS encryption uses when none is named. */
const defaultKmsKey = 'aws/s3';

type Headers = ReadonlyMap<string, string>;

const refuse = (message: string, name: string): S3Error =>
  new S3Error('InvalidArgument', message, { fields: { ArgumentName: name } });

/**
 * The client's own key (SSE-C), when the request has one. `source`: the key of a copy's source.
 * Errors: `InvalidArgument`, `InvalidEncryptionAlgorithmError` when anything about it is missing or does not fit.
 */
export function readCustomerKey(headers: Headers, source = false): CustomerKey | undefined {
  const prefix = `x-amz-${source ? 'copy-source-' : ''}server-side-encryption-customer-`;
  const [algorithm, key, keyMd5] = ['algorithm', 'key', 'key-md5'].map((name) => headers.get(prefix + name));
  if (algorithm === undefined && key === undefined && keyMd5 === undefined) return undefined;
  const who = 'Requests specifying Server Side Encryption with Customer provided keys must provide';
  if (!algorithm) throw refuse(`${who} a valid encryption algorithm.`, `${prefix}algorithm`);
  if (algorithm !== 'AES256')
    throw new S3Error('InvalidEncryptionAlgorithmError', undefined, { fields: { ArgumentValue: algorithm } });
  if (!key) throw refuse(`${who} an appropriate secret key.`, `${prefix}key`);
  if (!keyMd5) throw refuse(`${who} the client calculated MD5 of the secret key.`, `${prefix}key-md5`);
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== keySizeBytes) throw refuse('The secret key was invalid for the specified algorithm.', `${prefix}key`);
  if (createHash('md5').update(bytes).digest('base64') !== keyMd5)
    throw refuse('The calculated MD5 hash of the key did not match the hash that was provided.', `${prefix}key-md5`);
  return { key: bytes, keyMd5 };
}

/** How a new object is to be encrypted: as its request says, or else as its bucket does. Errors: `InvalidArgument`. */
export function readEncryption(headers: Headers, settings: BucketSettings): EncryptionRequest | undefined {
  const customer = readCustomerKey(headers);
  const algorithm = headers.get(serverSide);
  const keyId = headers.get(`${serverSide}-aws-kms-key-id`);
  const context = headers.get(`${serverSide}-context`);
  if (customer && (algorithm !== undefined || keyId !== undefined))
    throw refuse(
      'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      serverSide,
    );
  if (algorithm !== 'aws:kms' && (keyId !== undefined || context !== undefined))
    throw refuse(
      'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms',
      serverSide,
    );
  if (customer) return { kind: 'sse_c', ...customer };
  if (algorithm === 'AES256') return { kind: 'sse_s3' };
  if (algorithm === 'aws:kms')
    return { kind: 'sse_kms', keyId: keyId || (settings.encryption?.keyId ?? defaultKmsKey), ...(context ? { context } : {}) };
  if (algorithm === 'aws:kms:dsse')
    throw new S3Error('NotImplemented', 'Encryption in two layers (aws:kms:dsse) is not implemented', {
      fields: { Header: serverSide },
    });
  if (algorithm !== undefined) throw refuse('The encryption method specified is not supported', serverSide);
  const preset = settings.encryption;
  if (preset?.algorithm === 'AES256') return { kind: 'sse_s3' };
  return preset && { kind: 'sse_kms', keyId: preset.keyId ?? defaultKmsKey };
}

/** Errors: `InvalidArgument` when a request that only reads says how to encrypt. */
export function refuseEncryption(headers: Headers): void {
  if (headers.has(serverSide) || headers.has(`${serverSide}-aws-kms-key-id`))
    throw refuse(`${serverSide} header is not supported for this operation.`, serverSide);
}

/** Errors: `InvalidRequest` when an object is read without the key it was written with, or with one it was not. */
export function assertReadableWith(key: CustomerKey | undefined, encryption: Encryption | undefined): void {
  if (encryption?.kind !== 'sse_c') {
    if (!key) return;
    throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.');
  }
  if (!key)
    throw new S3Error(
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  if (key.keyMd5 !== encryption.keyMd5)
    throw new S3Error('InvalidRequest', 'The provided encryption parameters did not match the ones used originally.');
}

/** The headers that say how an object is encrypted. */
export function encryptionHeaders(encryption: Encryption | undefined): Record<string, string> {
  switch (encryption?.kind) {
    case undefined:
      return {};
    case 'sse_s3':
      return { [serverSide]: 'AES256' };
    case 'sse_kms':
      return {
        [serverSide]: 'aws:kms',
        [`${serverSide}-aws-kms-key-id`]: encryption.keyId,
        ...(encryption.context ? { [`${serverSide}-context`]: encryption.context } : {}),
      };
    case 'sse_c':
      return { [`${serverSide}-customer-algorithm`]: 'AES256', [`${serverSide}-customer-key-md5`]: encryption.keyMd5 };
  }
}
