import { type Operation, Operation_State, OperationSchema, Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { createProgress } from '../output/progress.ts';
import { client, show } from './support.ts';

export interface WaitOptions {
  /** Commander's form of `--no-wait`. */
  readonly wait?: boolean;
}

/**
 * Shows how far an operation is until it has ended, and how it ended; exits with 1 when it did not end well. Ctrl-C and a lost connection
 * leave it running, and say how to go on.
 */
export async function followOperation(context: CliContext, begun: Operation, { wait = true }: WaitOptions = {}): Promise<void> {
  const { output, signal } = context;
  const { id } = begun;
  const title = operationTitle(begun);
  const goesOn = `It goes on: "cellar operation watch ${id}" shows how far it is, "cellar operation cancel ${id}" stops it.`;
  let last = begun;
  if (wait && last.state === Operation_State.RUNNING) {
    const operations = await client(context, Operations);
    using progress = createProgress(output, title, { hasLines: true });
    try {
      for await (const step of operations.watchOperation({ id }, { signal })) {
        last = step;
        const { done, failed, total, message } = step;
        progress.set({ done: done + failed, total: total || undefined, text: progressText(done, failed, total, message) });
      }
      if (last.state === Operation_State.RUNNING)
        throw new Fault(Code.Unavailable, `Cannot tell how the ${title} ended: the server stopped telling`);
    } catch (error) {
      progress[Symbol.dispose]();
      output.message(goesOn);
      throw error;
    }
  }
  sayEnd(context, last, goesOn);
  if (output.isJson) show(context, OperationSchema, last, () => '');
}

function sayEnd(context: CliContext, operation: Operation, goesOn: string): void {
  const { output } = context;
  const { state, done, failed, total, message } = operation;
  const title = operationTitle(operation);
  if (state === Operation_State.RUNNING) {
    output.message(goesOn);
  } else if (state === Operation_State.DONE) {
    output.message(`Done: ${title}${total > 0 ? `, ${done} of ${total}` : ''}.`);
  } else {
    context.exitCode = Exit.Failed;
    const how = state === Operation_State.CANCELLED ? 'was cancelled' : 'failed';
    if (!output.isJson) output.warn(`The ${title} ${how}: ${progressText(done, failed, total, message)}`);
  }
}

export const operationTitle = ({ verb, kind, name }: Pick<Operation, 'verb' | 'kind' | 'name'>): string =>
  `${verb} of ${kind} ${name}`;

function progressText(done: number, failed: number, total: number, message: string): string {
  const counts = total > 0 ? `${done} of ${total}${failed > 0 ? `, ${failed} failed` : ''}` : '';
  const news = message === `${done} of ${total}` ? '' : message;
  return [counts, news].filter(Boolean).join('; ');
}
