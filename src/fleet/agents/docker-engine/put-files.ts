import { buffer } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import type { PlannedFile } from '../../blueprints/logic/plan-members.ts';

/** Puts files into a container that was not started yet; folders on the way are made. Secret ones can be read by the member alone. */
export async function putFiles(
  docker: Docker,
  container: string,
  files: readonly PlannedFile[],
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) return;
  const { Config } = await docker.getContainer(container).inspect({ abortSignal: signal });
  const [uid, gid] = userOf(Config.User);
  const archive = pack();
  for (const { path, text, secret = false, executable = false } of files) {
    const name = path.replace(/^\/+/, '');
    // Of a user that the image only names we do not know the number: nobody else is in there anyway.
    const read = secret && uid !== undefined ? 0o400 : 0o444;
    archive.entry({ name, uid: uid ?? 0, gid: gid ?? 0, mode: executable ? read | (read >> 2) : read }, text);
  }
  archive.finalize();
  await docker.getContainer(container).putArchive(await buffer(archive), { path: '/' });
}

/** The numbers of an image's user. `undefined`: it has only a name. */
function userOf(user: string): [number | undefined, number | undefined] {
  const [uid = '', gid = ''] = user.split(':');
  if (uid === '') return [0, 0];
  return [/^\d+$/.test(uid) ? Number(uid) : undefined, /^\d+$/.test(gid) ? Number(gid) : undefined];
}
