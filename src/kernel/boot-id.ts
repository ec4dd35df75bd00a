import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Which start of this machine it is: another one after a power cut, the same after a kill. Where the system does not say, each process has its own. */
export function bootId(): string {
  known ??= read() ?? randomUUID();
  return known;
}

function read(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined; // Only Linux says so.
  }
}
