import { type DescMessage, type DescService, type MessageShape, toJson } from '@bufbuild/protobuf';
import type { Client } from '#kernel/calls/client.ts';
import type { CliContext } from '../command.ts';

/** A client of a contract at the server meant. */
export async function client<D extends DescService>(context: CliContext, desc: D): Promise<Client<D>> {
  return (await context.connect()).client(desc);
}

/** A message as the result: in the JSON of REST, or in words. */
export function show<D extends DescMessage>(context: CliContext, desc: D, message: MessageShape<D>, human: () => string): void {
  context.output.result(toJson(desc, message, { alwaysEmitImplicit: true }), human);
}
