import { toJson } from '@bufbuild/protobuf';
import {
  type Webhook,
  type WebhookDelivery,
  WebhookDelivery_State,
  WebhookDelivery_StateSchema,
  WebhookDeliverySchema,
  WebhookSchema,
  WebhookSecretSchema,
  Webhooks,
} from '#gen/cellar/fleet/v1/webhooks_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { enumValue } from '../output/enum-value.ts';
import { enumWord, formatAge, formatDuration, plural } from '../output/format.ts';
import { formatFields } from '../output/table.ts';
import { parsePairs } from '../pairs.ts';
import { allPages } from './all-pages.ts';
import { client, show } from './support.ts';

/** Options of `webhook add` and `webhook update`. */
export interface WebhookOptions {
  readonly url?: string;
  readonly description?: string;
  readonly type?: readonly string[];
  readonly host?: readonly string[];
  readonly blueprint?: readonly string[];
  readonly label?: readonly string[];
}

export interface DeliveryFilter {
  readonly state?: string;
  readonly last: number;
}

export async function listWebhooks(context: CliContext): Promise<void> {
  const { output, signal } = context;
  const webhooks = await client(context, Webhooks);
  const found = await allPages(
    (page) => webhooks.listWebhooks(page, { signal }),
    (answer) => answer.webhooks,
  );
  output.table(
    found,
    [
      { title: 'name', value: ({ name }) => name },
      {
        title: 'state',
        value: stateWord,
        paint: (word) => (word === 'well' || word === 'new' ? output.style.green(word) : output.style.red(word)),
      },
      { title: 'url', value: ({ url }) => url },
      { title: 'told', value: filterText },
      { title: 'heard', value: ({ successTime }) => formatAge(successTime, Date.now()) },
      { title: 'message', value: ({ message }) => message },
    ],
    found.map((webhook) => toJson(WebhookSchema, webhook, { alwaysEmitImplicit: true })),
  );
}

export async function addWebhook(context: CliContext, name: string, url: string, options: WebhookOptions): Promise<void> {
  const webhooks = await client(context, Webhooks);
  const { spec } = readSpec({ ...options, url });
  const made = await webhooks.createWebhook({ webhook: { name, ...spec } }, { signal: context.signal });
  context.output.message(
    `Added webhook ${name}. "cellar webhook ping ${name}" tries it. The secret that signs is shown this once:`,
  );
  show(context, WebhookSecretSchema, made, () => made.secret);
}

export async function showWebhook(context: CliContext, name: string): Promise<void> {
  const webhook = await (await client(context, Webhooks)).getWebhook({ name }, { signal: context.signal });
  show(context, WebhookSchema, webhook, () => describe(webhook, context));
}

function describe(webhook: Webhook, { output }: CliContext): string {
  const { name, url, description, attempts, message, failingSinceTime, nextTime, successTime, createTime, position } = webhook;
  const now = Date.now();
  const failing = failingSinceTime
    ? {
        failing: `${formatAge(failingSinceTime, now)}, ${plural(attempts, 'attempt')}${nextTime ? `, next ${formatAge(nextTime, now)}` : ''}`,
      }
    : {};
  return formatFields(
    {
      name,
      url,
      ...(description ? { description } : {}),
      state: stateWord(webhook),
      told: filterText(webhook),
      ...failing,
      ...(message ? { message } : {}),
      'last heard': formatAge(successTime, now),
      position: String(position),
      added: formatAge(createTime, now),
    },
    output.style,
  );
}

export async function updateWebhook(context: CliContext, name: string, options: WebhookOptions): Promise<void> {
  const { spec, paths } = readSpec(options);
  if (paths.length === 0) throw invalidArgument(`Cannot change webhook ${name}: nothing to change was named`);
  await change(context, { name, ...spec }, paths);
  context.output.message(`Changed webhook ${name}.`);
}

export async function enableWebhook(
  context: CliContext,
  name: string,
  { skipMissed = false }: { skipMissed?: boolean },
): Promise<void> {
  await change(context, { name, enabled: true }, ['enabled'], skipMissed);
  context.output.message(
    `Webhook ${name} is told what happens${skipMissed ? ' from now on' : ', beginning with what it has missed'}.`,
  );
}

export async function disableWebhook(context: CliContext, name: string): Promise<void> {
  await change(context, { name, enabled: false }, ['enabled']);
  context.output.message(`Webhook ${name} is told nothing until "cellar webhook enable ${name}".`);
}

export async function pingWebhook(context: CliContext, name: string): Promise<void> {
  const delivery = await (await client(context, Webhooks)).pingWebhook({ name }, { signal: context.signal });
  const isHeard = delivery.state === WebhookDelivery_State.DELIVERED;
  if (!isHeard) context.exitCode = 1;
  show(context, WebhookDeliverySchema, delivery, () =>
    isHeard
      ? `It answered ${delivery.status} within ${formatDuration(delivery.durationMs)}.`
      : `It was not heard: ${delivery.message}.`,
  );
}

export async function rotateSecret(
  context: CliContext,
  name: string,
  { withdrawOld = false }: { withdrawOld?: boolean },
): Promise<void> {
  const webhooks = await client(context, Webhooks);
  const made = await webhooks.rotateWebhookSecret({ name, withdrawOld }, { signal: context.signal });
  const old = withdrawOld ? 'The old one signs no more.' : 'The old one signs beside it for a day.';
  context.output.message(`Made a new secret for webhook ${name}. ${old} It is shown this once:`);
  show(context, WebhookSecretSchema, made, () => made.secret);
}

export async function listDeliveries(context: CliContext, name: string, { state, last }: DeliveryFilter): Promise<void> {
  const { output, signal } = context;
  const wanted = enumValue(WebhookDelivery_StateSchema, state);
  const webhooks = await client(context, Webhooks);
  const { deliveries } = await webhooks.listWebhookDeliveries({ name, state: wanted, pageSize: last }, { signal });
  output.table(
    deliveries,
    [
      { title: 'when', value: ({ lastTime }) => formatAge(lastTime, Date.now()) },
      { title: 'type', value: ({ type }) => type },
      {
        title: 'state',
        value: deliveryWord,
        paint: (word, delivery) => (isWell(delivery) ? output.style.green(word) : output.style.red(word)),
      },
      { title: 'tries', isNumber: true, value: ({ attempts }) => String(attempts) },
      { title: 'answer', isNumber: true, value: ({ status }) => (status === 0 ? '' : String(status)) },
      { title: 'took', isNumber: true, value: ({ durationMs }) => formatDuration(durationMs) },
      { title: 'id', value: ({ id }) => id },
      { title: 'message', value: ({ message }) => message },
    ],
    deliveries.map((delivery) => toJson(WebhookDeliverySchema, delivery, { alwaysEmitImplicit: true })),
  );
}

export async function deleteWebhook(context: CliContext, name: string, { yes }: { yes?: boolean }): Promise<void> {
  await context.confirm(`Delete webhook ${name}?`, yes);
  await (await client(context, Webhooks)).deleteWebhook({ name }, { signal: context.signal });
  context.output.message(`Deleted webhook ${name}.`);
}

/** What options speak of, and the fields they name. Errors: `invalid_argument`. */
function readSpec({ url, description, type, host, blueprint, label }: WebhookOptions) {
  // An empty word is how a filter is taken away.
  const some = (words: readonly string[] | undefined) => words?.filter((word) => word !== '');
  const labels = some(label);
  const given = {
    ...{ url, description, types: some(type), hosts: some(host), blueprints: some(blueprint) },
    labels: labels && parsePairs(labels, 'label'),
  };
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  const spec = Object.fromEntries(named) as { [K in keyof typeof given]?: NonNullable<(typeof given)[K]> };
  return { spec, paths: named.map(([field]) => field) };
}

async function change(
  context: CliContext,
  webhook: ReturnType<typeof readSpec>['spec'] & { readonly name: string; readonly enabled?: boolean },
  paths: string[],
  skipMissed = false,
): Promise<void> {
  const webhooks = await client(context, Webhooks);
  const changed = await webhooks.updateWebhook({ webhook, updateMask: { paths }, skipMissed }, { signal: context.signal });
  if (context.output.isJson) show(context, WebhookSchema, changed, () => '');
}

function stateWord({ enabled, attempts, successTime }: Webhook): string {
  if (!enabled) return 'disabled';
  if (attempts > 0) return 'failing';
  return successTime ? 'well' : 'new';
}

function filterText({ types, hosts, blueprints, labels }: Webhook): string {
  const parts = [
    types.length > 0 ? types.join(', ') : 'everything',
    hosts.length > 0 ? `on ${hosts.join(', ')}` : '',
    blueprints.length > 0 ? `of ${blueprints.join(', ')}` : '',
    ...Object.entries(labels).map(([name, value]) => `${name}=${value}`),
  ];
  return parts.filter((part) => part !== '').join(' ');
}

const deliveryWord = ({ state }: WebhookDelivery): string => enumWord(WebhookDelivery_StateSchema, state).replace('_', ' ');
const isWell = ({ state }: WebhookDelivery): boolean => state === WebhookDelivery_State.DELIVERED;
