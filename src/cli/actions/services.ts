import { ServiceState_StateSchema, ServiceStateSchema, Services } from '#gen/cellar/platform/v1/services_pb.ts';
import type { CliContext } from '../command.ts';
import { enumWord } from '../output/format.ts';
import { client, show } from './support.ts';

export async function restartService(context: CliContext, name: string): Promise<void> {
  const services = await client(context, Services);
  const state = await services.restartService({ name }, { signal: context.signal });
  context.output.message(`Restarted ${name}: ${enumWord(ServiceState_StateSchema, state.state)}, process ${state.pid}.`);
  if (context.output.isJson) show(context, ServiceStateSchema, state, () => '');
}
