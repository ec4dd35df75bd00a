import { join } from 'node:path';
import type { Log } from '#kernel/log.ts';
import { parseListen } from '#kernel/process/machine.ts';
import { type AcceptOptions, type Acceptor, acceptDialled } from '#kernel/transports/dialled/accept.ts';
import { platformName } from '#kernel/transports/dialled/dial.ts';

export interface ListenOptions extends Pick<AcceptOptions, 'admit' | 'onDialled'> {
  /** `host:port`. */
  readonly listen: string;
  /** Where the CA of agents is kept. It is not that of machines: whoever has a certificate of that one is a part of the platform. */
  readonly folder: string;
  readonly silenceMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Listens for agents. Its X.509 library is large, so this is loaded only where agents may dial in. */
export async function listenForAgents(options: ListenOptions): Promise<Acceptor> {
  const { listen, folder, silenceMs, log, signal, admit, onDialled } = options;
  const [{ ensureCa, ensureCertificate }, { keepRenewed }, { TlsIdentity }] = await Promise.all([
    import('#kernel/transports/ca/ca.ts'),
    import('#kernel/transports/ca/renew.ts'),
    import('#kernel/transports/ca/tls.ts'),
  ]);
  const ensure = async () =>
    ensureCertificate(await ensureCa(folder), join(folder, 'platform.pem'), { name: platformName, hosts: [], uses: ['server'] });
  const tls = new TlsIdentity(await ensure());
  void keepRenewed(tls, { ensure, log, signal });
  return await acceptDialled({ ...parseListen(listen), tls, log, admit, onDialled, limits: { silenceMsMax: silenceMs } });
}
