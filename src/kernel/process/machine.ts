import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '../fault.ts';
import type { TlsMaterial } from '../transports/ca/tls.ts';
import { homePaths } from './paths.ts';

export interface MachineOptions {
  readonly home: string;
  readonly name: string;
  /** Where other machines reach this one, such as `10.0.0.2:7070`. */
  readonly listen: string;
  /** File made by the first machine; empty on that one, which has the CA itself. */
  readonly bundle: string;
}

/** Host and port of `host:port`; an IPv6 address stands in brackets. */
export function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const at = listen.lastIndexOf(':');
  return { host: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) };
}

/** This machine's certificate, made by the CA in the home or read from the bundle. Errors: `failed_precondition`, `invalid_argument`. */
export async function machineMaterial({ home, name, listen, bundle }: MachineOptions): Promise<TlsMaterial> {
  // Its X.509 library is large, and one machine alone needs none of it.
  const { ensureCa, ensureCertificate, parseBundle } = await import('../transports/ca/ca.ts');
  if (bundle === '') {
    const folder = homePaths(home).certificates;
    const { host } = parseListen(listen);
    return ensureCertificate(await ensureCa(folder), join(folder, 'machine.pem'), { name, hosts: [host] });
  }
  let text: string;
  try {
    text = await readFile(bundle, 'utf8');
  } catch (cause) {
    throw failedPrecondition(`Cannot read the bundle of this machine at ${bundle}: ${(cause as Error).message}`, {
      hint: 'Make one with `cellar machine add NAME HOST` on the first machine and name it as machine.bundle.',
      cause,
    });
  }
  return parseBundle(text, bundle);
}
