import { toJson } from '@bufbuild/protobuf';
import { type FleetEvent, FleetEvent_Severity, FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import { Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import type { CliContext } from '../command.ts';
import { millis } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { printable } from '../output/table.ts';
import { client } from './support.ts';

export interface EventOptions {
  readonly follow?: boolean;
  readonly host?: string;
  readonly cluster?: string;
  readonly last: number;
}

/** What happened in the fleet, oldest first. */
export async function showEvents(context: CliContext, options: EventOptions): Promise<void> {
  const { output, signal } = context;
  const { follow = false, host = '', cluster = '', last } = options;
  const operations = await client(context, Operations);
  for await (const event of operations.listEvents({ follow, host, cluster, last }, { signal }))
    output.line(output.isJson ? toJson(FleetEventSchema, event, { alwaysEmitImplicit: true }) : undefined, () =>
      eventText(event, output.style),
    );
}

function eventText({ time, reason, message, actor, severity }: FleetEvent, style: Style): string {
  const paint = {
    [FleetEvent_Severity.ERROR]: style.red,
    [FleetEvent_Severity.WARNING]: style.yellow,
  }[severity as number];
  const word = printable(reason).padEnd(18);
  return `${style.dim(clockText(millis(time) ?? 0))}  ${paint ? paint(word) : word} ${printable(message)} ${style.dim(`(${printable(actor)})`)}`;
}

/** `2026-03-04 05:06:07` in local time. */
function clockText(ms: number): string {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}
