import { isSystemError } from '#lib/system-error.ts';
import type { ObjectBody, ObjectInfo, UploadChecksum } from '#s3/backend.ts';
import type { Owner } from '#s3/bucket-settings.ts';
import type { Envelope } from '../encryption/envelope.ts';
import type { Directory } from './directory.ts';
import { readFile } from './fs.ts';
import type { StoredAttributes } from './stored.ts';
import { writeTemporaryFile } from './temporary-file.ts';

/** What an upload was begun with. Kept beside its parts as JSON, so fields are only ever added. */
export interface UploadRecord {
  readonly key: string;
  readonly initiatedMs: number;
  readonly object: StoredAttributes;
  readonly checksum?: UploadChecksum | undefined;
  readonly initiator?: Owner | undefined;
  readonly envelope?: Envelope | undefined;
}

/**
 * What a completion has come to. Written before the commit takes `fileName` out of the upload's folder: once that file is gone, the
 * object is there, whatever happened after.
 */
export interface CompletedUpload {
  readonly key: string;
  readonly fileName: string;
  readonly completedMs: number;
  readonly info: ObjectInfo;
}

export const recordName = 'upload.json';
export const completedName = 'completed.json';

/** `undefined` when there is none. */
export async function readJson<T>(directory: Directory, name: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(directory.at(name), 'utf8')) as T;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Durable and whole, or not there. */
export async function writeJson(directory: Directory, name: string, newId: () => string, value: unknown): Promise<void> {
  await using file = await writeTemporaryFile(directory, `tmp-${newId()}`, textBody(JSON.stringify(value)));
  await file.moveTo(directory.at(name));
  await directory.sync();
}

const textBody = (text: string): ObjectBody => ({
  bytes: (async function* () {
    yield Buffer.from(text);
  })(),
  sizeBytes: Buffer.byteLength(text),
  verify: async () => ({ md5Hex: '', checksums: {} }),
});
