import type Docker from 'dockerode';
import { failedPrecondition } from '#kernel/fault.ts';
import { engineFault, isGone, messageOf } from './connect.ts';

/** Gets an image that is not there. Errors: `failed_precondition` with reason `image_missing` or `disk_full`. */
export async function ensureImage(docker: Docker, image: string, signal: AbortSignal): Promise<void> {
  if (image === '') {
    throw failedPrecondition('A member has no image, so it cannot run in a container', {
      reason: 'image_missing',
      hint: 'The blueprint is for local processes only.',
    });
  }
  try {
    await docker.getImage(image).inspect();
    return;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  try {
    const progress = await docker.pull(image, { abortSignal: signal });
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    signal.throwIfAborted();
    if (/no space left/i.test(messageOf(error)))
      throw engineFault(Object.assign(new Error(messageOf(error)), { statusCode: 500 }));
    throw failedPrecondition(`The engine cannot get image "${image}": ${messageOf(error)}`, {
      reason: 'image_missing',
      hint: 'Load it on the engine, or name another with the blueprint\'s parameter "image".',
      cause: error,
    });
  }
}
