import { toJson } from '@bufbuild/protobuf';
import {
  type Operation,
  Operation_State,
  Operation_StateSchema,
  OperationSchema,
  Operations,
} from '#gen/cellar/fleet/v1/operations_pb.ts';
import type { CliContext } from '../command.ts';
import { enumValue } from '../output/enum-value.ts';
import { enumWord, formatAge } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { formatFields } from '../output/table.ts';
import { allPages } from './all-pages.ts';
import { followOperation, operationTitle } from './follow-operation.ts';
import { client, show } from './support.ts';

export interface OperationFilter {
  readonly state?: string;
  readonly host?: string;
  readonly cluster?: string;
}

export async function listOperations(context: CliContext, { state, host, cluster }: OperationFilter): Promise<void> {
  const { output, signal } = context;
  const operations = await client(context, Operations);
  const about = { kind: host ? 'host' : cluster ? 'cluster' : '', name: host ?? cluster ?? '' };
  const filter = { ...about, state: enumValue(Operation_StateSchema, state) };
  const found = await allPages(
    (page) => operations.listOperations({ ...filter, ...page }, { signal }),
    (answer) => answer.operations,
  );
  output.table(
    found,
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'what', value: operationTitle },
      { title: 'state', value: stateWord, paint: (word, { state: now }) => paintState(word, now, output.style) },
      { title: 'done', isNumber: true, value: ({ done, total }) => `${done}/${total}` },
      { title: 'failed', isNumber: true, value: ({ failed }) => String(failed) },
      { title: 'began', value: ({ createTime }) => formatAge(createTime, Date.now()) },
      { title: 'by', value: ({ actor }) => actor },
      { title: 'message', value: ({ message }) => message },
    ],
    found.map((operation) => toJson(OperationSchema, operation, { alwaysEmitImplicit: true })),
  );
}

export async function showOperation(context: CliContext, id: string): Promise<void> {
  const operation = await (await client(context, Operations)).getOperation({ id }, { signal: context.signal });
  const { style } = context.output;
  const { done, failed, total, message, reason, actor, createTime, endTime } = operation;
  show(context, OperationSchema, operation, () =>
    formatFields(
      {
        id,
        what: operationTitle(operation),
        state: stateWord(operation),
        done: `${done} of ${total}${failed > 0 ? `, ${failed} failed` : ''}`,
        ...(message ? { message } : {}),
        ...(reason ? { reason } : {}),
        by: actor,
        began: formatAge(createTime, Date.now()),
        ...(endTime ? { ended: formatAge(endTime, Date.now()) } : {}),
      },
      style,
    ),
  );
}

export async function watchOperation(context: CliContext, id: string): Promise<void> {
  const operations = await client(context, Operations);
  await followOperation(context, await operations.getOperation({ id }, { signal: context.signal }));
}

export async function cancelOperation(context: CliContext, id: string): Promise<void> {
  const operation = await (await client(context, Operations)).cancelOperation({ id }, { signal: context.signal });
  context.output.message(`Cancelled: ${operationTitle(operation)}. What it had begun is finished or undone.`);
  if (context.output.isJson) show(context, OperationSchema, operation, () => '');
}

const stateWord = ({ state }: Operation): string => enumWord(Operation_StateSchema, state);

function paintState(word: string, state: Operation_State, style: Style): string {
  if (state === Operation_State.DONE) return style.green(word);
  return state === Operation_State.RUNNING ? word : style.red(word);
}
