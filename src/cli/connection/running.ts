import { readServerInfo } from '#kernel/process/lock.ts';

/** The server that runs with this home on this machine and may be called; undefined when none does. */
export async function findRunning(home: string): Promise<{ readonly url: string } | undefined> {
  const info = await readServerInfo(home);
  return info?.url ? { url: info.url } : undefined;
}
