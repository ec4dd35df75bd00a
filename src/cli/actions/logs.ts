import { type LogLine, Services } from '#gen/cellar/platform/v1/services_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import { isHomeLocked } from '#kernel/process/lock.ts';
import { homePaths } from '#kernel/process/paths.ts';
import type { CliContext } from '../command.ts';
import { adminClient } from './admin-client.ts';
import { logLineText } from './log-line.ts';

export interface LogsOptions {
  readonly follow?: boolean;
  readonly service?: string;
  readonly lines: string;
  readonly level?: string;
}

/** Log lines: as they are with `--json`, else as people read them. Of a server that does not run its file is read. */
export async function showLogs(context: CliContext, options: LogsOptions): Promise<void> {
  const { output } = context;
  const show = (line: LogLine): void => {
    output.stdout.write(output.isJson ? `${line.json}\n` : logLineText(line.json, output.style));
  };
  const lines = Number(options.lines);
  if (!Number.isInteger(lines) || lines < 1 || lines > 100_000) {
    throw invalidArgument(`Cannot show "${options.lines}" lines: it must be a whole number from 1 to 100000`);
  }
  const request = { service: options.service ?? '', level: options.level ?? '', lines, follow: options.follow ?? false };
  if (context.server === undefined && !isHomeLocked(context.home) && !context.tokenFile && !context.env['CELLAR_TOKEN']) {
    const { readLog } = await import('#platform/services-service/read-log.ts');
    const { follow: isFollowing, ...rest } = request;
    for await (const line of readLog({ ...rest, path: homePaths(context.home).log, isFollowing, signal: context.signal }))
      show(line);
    return;
  }
  await using admin = await adminClient(context, Services);
  for await (const line of admin.client.readLogs(request, { signal: context.signal })) show(line);
}
