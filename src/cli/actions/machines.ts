import { writeFile } from 'node:fs/promises';
import { homePaths } from '#kernel/process/paths.ts';
import { ensureCa, issueBundle } from '#kernel/transports/ca/ca.ts';
import type { CliContext } from '../command.ts';
import { systemFault } from '../system-fault.ts';

/** Issues a certificate with the CA of this home, for a machine to join with. */
export async function addMachine(
  context: CliContext,
  name: string,
  hosts: readonly string[],
  options: { readonly out?: string },
): Promise<void> {
  const { home, output } = context;
  const ca = await ensureCa(homePaths(home).certificates);
  const bundle = await issueBundle(ca, { name, hosts });
  if (options.out === undefined) {
    output.result({ name, hosts, bundle }, () => bundle.trimEnd());
    return;
  }
  try {
    await writeFile(options.out, bundle, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw systemFault('write', options.out, error);
  }
  output.result(
    { name, hosts, file: options.out },
    () => `Wrote ${options.out}. Name it as machine.bundle in the cellar.yaml of ${name}.`,
  );
}
