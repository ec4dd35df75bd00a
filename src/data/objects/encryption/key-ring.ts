import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { CustomerKey, EncryptionRequest } from '#s3/backend.ts';
import { type Envelope, unwrapKey, wrapKey } from './envelope.ts';

/** A new key to seal with and the envelope it can be had from again. */
export interface DataKey {
  readonly envelope: Envelope;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** The keys that open data keys. They are in no bucket and no database: who has only the disks has nothing. */
export interface KeyRing {
  /** Errors: `no_such_kms_key`. */
  newDataKey(request: EncryptionRequest): Promise<DataKey>;
  /** Errors: `customer_key_missing`, `customer_key_wrong`; `data_loss` with reason `key_lost` when the ring has not the key, or the envelope is damaged. */
  openEnvelope(envelope: Envelope, customerKey?: CustomerKey): Buffer;
}

export interface KeyRingOptions {
  /** A file of its own for each ring; made, readable for its owner only, with the first key. */
  readonly path: string;
  /** Names of keys that clients may ask for, besides `aws/s3`. */
  readonly kmsKeys: readonly string[];
  /** A key older than this is no longer sealed with, only opened; 0: keys are used for ever. Unit: milliseconds. */
  readonly keyAgeMsMax: number;
  readonly now: () => number;
}

/** One key of the ring: several may have one name, and the newest of them seals. */
interface RingKey {
  readonly id: string;
  /** Of a key for SSE-KMS; empty: the one for SSE-S3. */
  readonly name: string;
  /** base64 */
  readonly key: string;
  readonly createdMs: number;
}

/** The KMS key that is always there, as with S3. */
export const defaultKmsKey = 'aws/s3';

/** Keys in a file of ours. Errors: `data_loss` with reason `key_ring_damaged` when the file cannot be read as one. */
export async function openKeyRing({ path, kmsKeys, keyAgeMsMax, now }: KeyRingOptions): Promise<KeyRing> {
  let keys = await readKeys(path);
  let lastWrite: Promise<unknown> = Promise.resolve();
  const allowed = new Set([defaultKmsKey, ...kmsKeys]);

  const newest = (name: string): RingKey | undefined =>
    keys.findLast((key) => key.name === name && (keyAgeMsMax === 0 || now() - key.createdMs < keyAgeMsMax));

  /** The key of a name that seals now; durable before anything is sealed with it. */
  async function sealingKey(name: string): Promise<RingKey> {
    const known = newest(name);
    if (known) return known;
    const made = lastWrite
      .catch(() => undefined)
      .then(async () => {
        const meanwhile = newest(name);
        if (meanwhile) return meanwhile;
        const key: RingKey = {
          id: randomBytes(8).toString('hex'),
          name,
          key: randomBytes(32).toString('base64'),
          createdMs: now(),
        };
        await writeKeys(path, [...keys, key]);
        keys = [...keys, key];
        return key;
      });
    lastWrite = made;
    return await made;
  }

  return {
    async newDataKey(request) {
      const dataKey = randomBytes(32);
      if (request.kind === 'sse_c') {
        const { keyMd5 } = request;
        return { envelope: { kind: 'sse_c', dataKey: wrapKey(request.key, dataKey, 'sse_c'), keyMd5 }, key: dataKey };
      }
      const name = request.kind === 'sse_s3' ? '' : kmsKeyName(request.keyId);
      if (name !== '' && !allowed.has(name)) throw noSuchKmsKey(name);
      const { id, key } = await sealingKey(name);
      const context = request.kind === 'sse_s3' ? undefined : request.context;
      const envelope: Envelope = {
        ...(request.kind === 'sse_s3' ? { kind: request.kind } : { kind: request.kind, keyId: request.keyId }),
        ...(context === undefined ? {} : { context }),
        by: id,
        dataKey: wrapKey(Buffer.from(key, 'base64'), dataKey, contextOf(context)),
      };
      return { envelope, key: dataKey };
    },
    openEnvelope(envelope, customerKey) {
      if (envelope.kind === 'sse_c') {
        if (!customerKey) throw customerKeyMissing();
        const opened = unwrapKey(customerKey.key, envelope.dataKey, 'sse_c');
        if (!opened) throw customerKeyWrong();
        return opened;
      }
      const known = keys.find(({ id }) => id === envelope.by);
      const context = envelope.kind === 'sse_kms' ? envelope.context : undefined;
      const opened = known && unwrapKey(Buffer.from(known.key, 'base64'), envelope.dataKey, contextOf(context));
      if (!opened) throw keyLost(envelope.by);
      return opened;
    },
  };
}

/** A client names a key by its name, an alias, or an ARN that ends with either. */
export const kmsKeyName = (keyId: string): string =>
  keyId.replace(/^arn:[^:]*:kms:[^:]*:[^:]*:/, '').replace(/^(key|alias)\//, '') || defaultKmsKey;

/** Bound to the data key, so that who changes it on the disk opens nothing. */
const contextOf = (context: string | undefined): string => `data key ${context ?? ''}`;

async function readKeys(path: string): Promise<readonly RingKey[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
  try {
    const { keys } = JSON.parse(text) as { readonly keys: readonly RingKey[] };
    if (!keys.every(({ id, name, key }) => id && typeof name === 'string' && Buffer.from(key, 'base64').length === 32))
      throw new TypeError('a key is incomplete');
    return keys;
  } catch (error) {
    throw new Fault(Code.DataLoss, `Cannot read the key ring ${path}: it is damaged`, {
      reason: 'key_ring_damaged',
      hint: 'Restore it from a backup; what was encrypted cannot be read without it.',
      cause: error,
    });
  }
}

async function writeKeys(path: string, keys: readonly RingKey[]): Promise<void> {
  const temporary = join(dirname(path), `.keys-${randomBytes(8).toString('hex')}`);
  {
    await using file = await open(temporary, 'wx', 0o600);
    await file.writeFile(`${JSON.stringify({ keys }, null, 2)}\n`);
    await file.sync();
  }
  await rename(temporary, path);
  await using folder = await open(dirname(path), 'r');
  await folder.sync();
}

const noSuchKmsKey = (name: string): Fault =>
  new Fault(Code.NotFound, `There is no key ${JSON.stringify(name)} to encrypt with`, {
    reason: 'no_such_kms_key',
    hint: 'An administrator names the keys in the setting objects.kmsKeys; "aws/s3" is always there.',
  });

const customerKeyMissing = (): Fault =>
  invalidArgument(
    'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    { reason: 'customer_key_missing', hint: 'Send the key it was written with.' },
  );

const customerKeyWrong = (): Fault =>
  invalidArgument('The key that was sent is not the one that the object was written with', { reason: 'customer_key_wrong' });

const keyLost = (id: string): Fault =>
  new Fault(Code.DataLoss, `Cannot open the object: its key "${id}" is not in the key ring, or the object is damaged`, {
    reason: 'key_lost',
    hint: 'Restore the key ring, keys.json in the folder of the objects service, from a backup.',
  });
