import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Code, Fault } from '#kernel/fault.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import type { ObjectsPlan, RemoteBucket } from '../plan.ts';
import { openKeyRing } from './encryption/key-ring.ts';
import { createSealing } from './encryption/sealing.ts';
import type { RecordChange } from './logic/change.ts';
import { createFolderBackend, type FolderBackend, type FolderBackendOptions, type LocalBackend } from './logic/folder-backend.ts';
import { createRemoteBackend, type RemoteDeclaration } from './remote/remote-backend.ts';
import type { settings } from './settings.ts';

/** How long a secret from a file serves. Unit: milliseconds. */
const secretMsMax = 60_000;
const dayMs = 86_400_000;

/** What keeps the objects of this plan: folders, or another S3 server. */
export async function openBackend(
  micro: Pick<Micro<SettingsOf<typeof settings>>, 'plan' | 'secret' | 'signal' | 'clock' | 'folder' | 'settings'>,
  record: RecordChange,
  folders: Pick<FolderBackendOptions, 'store'>,
): Promise<{ readonly backend: FolderBackend; readonly local?: LocalBackend }> {
  const { parent, bucketsOf, buckets } = micro.plan as ObjectsPlan;
  const now = (): number => micro.clock.now();
  if (parent !== '') {
    const { kmsKeys, encryptionKeyDays } = micro.settings;
    const path = join(micro.folder, 'keys.json');
    const keyRing = await openKeyRing({ path, kmsKeys, keyAgeMsMax: encryptionKeyDays * dayMs, now });
    const coding = createSealing(keyRing);
    const hasMore = bucketsOf !== undefined;
    const local = createFolderBackend({ parent, folders: buckets, hasMore, record, now, coding, ...folders });
    return { backend: local, local };
  }
  const declared = buckets.flatMap(({ bucket, remote }): RemoteDeclaration[] => {
    if (!remote) return [];
    const { endpoint, region, accessKey, prefix } = remote;
    const account = { endpoint, region, accessKey, secretKey: secretOf(micro, bucket, remote) };
    return [{ name: bucket, bucket: remote.bucket, prefix, account }];
  });
  return { backend: createRemoteBackend({ buckets: declared, record, signal: micro.signal, now }) };
}

/** The secret key of a datasource as it is now. Errors: `unavailable` with reason `remote_credentials`. */
function secretOf(
  { secret, clock }: Pick<Micro, 'secret' | 'clock'>,
  datasource: string,
  { secretKeyFile = '' }: RemoteBucket,
): () => Promise<string> {
  const key = `datasources.${datasource}.secretKey`;
  let kept: { readonly text: string; readonly atMs: number } | undefined;
  return async () => {
    const set = secret(key);
    if (set && !set.isEmpty) return set.reveal();
    if (kept && clock.now() - kept.atMs < secretMsMax) return kept.text;
    try {
      if (secretKeyFile === '') throw new Error('it is not set');
      kept = { text: (await readFile(secretKeyFile, 'utf8')).trim(), atMs: clock.now() };
      return kept.text;
    } catch (cause) {
      throw new Fault(
        Code.Unavailable,
        `The secret key of datasource "${datasource}" cannot be read: ${(cause as Error).message}`,
        {
          reason: 'remote_credentials',
          hint: `Set ${key}, or correct the file of datasources.${datasource}.secretKeyFile.`,
          cause,
        },
      );
    }
  };
}
