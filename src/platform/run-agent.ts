import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { ProcessMetrics } from '#kernel/metrics.ts';
import { lockHome } from '#kernel/process/lock.ts';
import { parseListen } from '#kernel/process/machine.ts';
import { createSurroundings } from '#kernel/process/surroundings.ts';
import { startInstances, stopInstances } from '#kernel/services/launcher.ts';
import { Registry } from '#kernel/services/registry.ts';
import { expiryMs, parseBundle, subjectName } from '#kernel/transports/ca/ca.ts';
import type { TlsMaterial } from '#kernel/transports/ca/tls.ts';
import { type DialOptions, keepDialled } from '#kernel/transports/dialled/dial.ts';
import manifest from '../../package.json' with { type: 'json' };
import type { Catalogue } from './catalogue.ts';
import { loadSettings } from './load-settings.ts';
import { openMainLog } from './open-main-log.ts';
import type { Undo } from './undo.ts';

export interface AgentOptions extends Pick<DialOptions, 'onChange' | 'signal'> {
  readonly home: string;
  readonly catalogue: Catalogue;
  /** The service that is served to the platform, and nothing else. */
  readonly service: string;
  /** Where the platform listens for agents: `host:port`. */
  readonly platform: string;
  /** File with key, certificate and CA; read anew for each connection, and replaced when the certificate is renewed. */
  readonly bundle: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onLine?: (line: string) => void;
}

/** The platform asks more often than that, whatever its setting agents.silenceSeconds. Unit: milliseconds. */
const silenceMsMax = 20_000;

/**
 * Runs one service beside its host, for a platform elsewhere: dials that and serves its calls, until the signal fires.
 * Errors: `failed_precondition` when the home or the bundle cannot be used; `aborted` when another agent has taken its place.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { home, catalogue, service, environment, onLine, onChange, signal } = options;
  const { host, port } = parseListen(options.platform);
  const load = catalogue.services[service];
  if (!load || host === '' || !(port > 0 && port < 65_536)) {
    throw invalidArgument(`Cannot dial "${options.platform}"`, {
      hint: 'Write HOST:PORT, as the setting agents.listen of the platform has it.',
    });
  }
  const served = subjectName(await readBundle(options.bundle));
  const lock = await lockHome(home);
  const undo: Undo = [() => lock.release()];
  try {
    const definition = await load();
    const { live } = await loadSettings({ home, definitions: [definition], environment, flags: [] });
    const { log } = openMainLog({ home, settings: live, onLine, undo });
    const process_ = {
      home,
      machine: served,
      log,
      metrics: new ProcessMetrics(),
      registry: new Registry(),
      settings: () => live.settings,
    };
    const parts = await createSurroundings({ ...process_, socket: 'main', restarts: 0, machineEdge: undefined });
    undo.push(() => parts.close());
    const started = await startInstances(
      [{ definition, instance: '', plan: { host: served, bundle: resolve(options.bundle) } }],
      parts.surroundings,
    );
    undo.push(() => stopInstances(started, AbortSignal.timeout(5000)));
    const info = { pid: process.pid, startTimeMs: Date.now(), url: '', version: manifest.version, notReady: [] };
    await lock.publish({ ...info, isReady: true });
    const { endpoint } = parts.surroundings;
    const tls = () => readBundle(options.bundle, served);
    await keepDialled({ host, port, tls, endpoint, log, signal, limits: { silenceMsMax }, ...(onChange ? { onChange } : {}) });
  } finally {
    for (const step of undo.toReversed()) await step();
  }
}

/** The bundle as it is now. Errors: `failed_precondition`, `invalid_argument`. */
async function readBundle(path: string, served?: string): Promise<TlsMaterial> {
  const hint = '`cellar agent enrol HOST` on the platform makes one.';
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw failedPrecondition(`Cannot read the bundle ${path}: ${(cause as Error).message}`, { hint, cause });
  }
  const material = parseBundle(text, path, hint);
  const name = subjectName(material);
  if (served !== undefined && name !== served) {
    throw failedPrecondition(`Cannot use the bundle ${path}: it is for host "${name}", and this agent serves "${served}"`, {
      hint: 'Run an agent of its own for that host, with a home of its own.',
    });
  }
  const endMs = expiryMs(material);
  if (endMs < Date.now()) {
    throw failedPrecondition(`Cannot use the bundle ${path}: its certificate has expired on ${new Date(endMs).toISOString()}`, {
      reason: 'certificate_expired',
      hint: `\`cellar agent enrol ${name}\` on the platform makes a new one.`,
    });
  }
  return material;
}
