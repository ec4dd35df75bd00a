import { ServiceState_State, Services } from '#gen/cellar/platform/v1/services_pb.ts';
import { isHomeLocked, readServerInfo } from '#kernel/process/lock.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { formatDuration, plural } from '../output/format.ts';
import { adminClient } from './admin-client.ts';
import { stateWord } from './ps.ts';

/** Whether all is well, for people, and by the exit code for scripts. */
export async function showStatus(context: CliContext): Promise<void> {
  const { output, home, signal } = context;
  const isLocal = context.server === undefined;
  if (isLocal && !isHomeLocked(home)) {
    context.exitCode = Exit.Unavailable;
    output.result({ running: false, home }, () => `Nothing runs with the home ${home}.`);
    return;
  }
  const info = isLocal ? await readServerInfo(home) : undefined;
  if (isLocal && !info) {
    context.exitCode = Exit.Unavailable;
    output.result({ running: true, ready: false, home }, () => 'Starting.');
    return;
  }
  await using admin = await adminClient(context, Services);
  const { services } = await admin.client.listServices({}, { signal });
  const notReady = services.filter(({ state }) => state !== ServiceState_State.READY);
  const isReady = notReady.length === 0;
  if (!isReady) context.exitCode = Exit.Unavailable;
  const json = {
    running: true,
    ready: isReady,
    url: info?.url ?? context.server,
    home: isLocal ? home : undefined,
    pid: info?.pid,
    version: info?.version,
    startTime: info && new Date(info.startTimeMs).toISOString(),
    services: services.length,
    notReady: notReady.map(({ name, state, reason }) => ({ name, state: stateWord(state), reason })),
  };
  output.result(json, () =>
    [
      `${isReady ? output.style.green('Ready') : output.style.yellow('Running, not all ready')}${json.url ? ` at ${json.url}` : ''}`,
      ...(info
        ? [`Process ${info.pid}, since ${formatDuration(Date.now() - info.startTimeMs)}, version ${info.version}, home ${home}`]
        : []),
      `${plural(services.length - notReady.length, 'service')} ready${isReady ? '' : `, ${notReady.length} not:`}`,
      ...json.notReady.map(({ name, state, reason }) => `  ${name}  ${state}${reason ? `: ${reason}` : ''}`),
    ].join('\n'),
  );
}
