import { machineMaterial, parseListen } from '#kernel/process/machine.ts';
import type { MachineEdge } from '#kernel/process/surroundings.ts';
import { type Settings, settingValue } from '#kernel/settings/resolve.ts';
import { TlsIdentity } from '#kernel/transports/ca/tls.ts';

export interface MachineEdgeOptions {
  readonly home: string;
  /** Of this machine. */
  readonly name: string;
  readonly settings: Settings;
  /** Default: the one of the settings, which is the main process's. */
  readonly port?: number;
}

/** Where other machines reach this process, as the settings have it; undefined when this machine works alone. */
export async function machineEdgeOf({ home, name, settings, port }: MachineEdgeOptions): Promise<MachineEdge | undefined> {
  const listen = String(settingValue(settings, 'machine.listen'));
  if (!listen) return undefined;
  const address = parseListen(listen);
  const bundle = String(settingValue(settings, 'machine.bundle'));
  const ensure = () => machineMaterial({ home, name, listen, bundle });
  const tls = new TlsIdentity(await ensure());
  return { host: address.host, port: port ?? address.port, tls, ensure };
}
