import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isSystemError } from '#lib/system-error.ts';
import { Code, Fault, failedPrecondition } from './fault.ts';
import { writeSecretFile } from './secret-file.ts';

/** Seals secrets that have to be read again, such as those that S3 requests are signed with. */
export interface Vault {
  /** `name` is bound to the sealed bytes: they open under no other. */
  seal(secret: string, name: string): Uint8Array;
  /** Errors: `data_loss` when the bytes were changed, or sealed with another key or name. */
  open(sealed: Uint8Array, name: string): string;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** AES-256-GCM; sealed: nonce, tag, ciphertext. */
export function createVault(key: Uint8Array): Vault {
  return {
    seal(secret, name) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    open(sealed, name) {
      try {
        const nonce = sealed.subarray(0, nonceBytes);
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
          .setAAD(Buffer.from(name))
          .setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
        return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]).toString();
      } catch (error) {
        throw new Fault(Code.DataLoss, `Cannot read the secret of ${name}: it was sealed with another master key, or changed`, {
          reason: 'secret_unreadable',
          hint: 'Restore master.key from a backup, or make a new secret.',
          cause: error,
        });
      }
    },
  };
}

/**
 * Reads the master key, and makes one when there is none and nothing was sealed yet.
 * Errors: `failed_precondition` when it is missing though secrets were sealed with it, or is not 32 bytes.
 */
export async function openVault(file: string, hasSecrets: () => Promise<boolean>): Promise<Vault> {
  const known = await readFile(file).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (known?.length === keyBytes) return createVault(known);
  if (known || (await hasSecrets())) {
    throw failedPrecondition(`Cannot open stored secrets: the master key ${file} is ${known ? 'damaged' : 'missing'}`, {
      reason: 'master_key_missing',
      hint: 'Restore the file from a backup; without it what it has sealed cannot be read.',
    });
  }
  const key = randomBytes(keyBytes);
  await writeSecretFile(file, key);
  return createVault(key);
}
