import { Option } from 'commander';
import type { DeliveryFilter, WebhookOptions } from '../actions/webhooks.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';
import { wholeNumber } from '../whole-number.ts';
import { listing } from './webhooks.ts';

export function register(program: CliCommand, context: CliContext): void {
  const webhook = program
    .command('webhook')
    .helpGroup('Clusters:')
    .description('Have other systems told what happens to clusters.')
    .example('cellar webhook add chat https://example.org/hook --type "Cluster*"', 'Tell what happens to clusters');
  const actions = () => import('../actions/webhooks.ts');

  /** A verb about one webhook. */
  const verb = (name: string, description: string): CliCommand =>
    webhook.command(name).description(description).argument('<name>', 'webhook').completes('webhook', 'none') as CliCommand;
  const filterOptions = (command: CliCommand): CliCommand =>
    command
      .option('--type <type>', 'Only events of this type, such as ClusterReady or "Claim*"; may be given several times.', collect)
      .option('--host <name>', 'Only about this host; may be given several times.', collect)
      .option('--blueprint <name>', 'Only about clusters of this blueprint; may be given several times.', collect)
      .option('--label <name=value>', 'Only about clusters with this label; may be given several times.', collect)
      .option('--description <text>', 'One sentence for people.')
      .completesOptions({ host: 'host', blueprint: 'blueprint' }) as CliCommand;

  filterOptions(
    webhook
      .command('add')
      .alias('create')
      .description('Tell a receiver what happens from now on. The secret that signs is shown this once, on standard output.')
      .argument('<name>', 'lower-case letters, digits and dashes')
      .argument('<url>', 'http or https')
      .completes('none') as CliCommand,
  )
    .example('cellar webhook add chat https://example.org/hook', 'Everything')
    .example('cellar webhook add ci https://example.org/hook --type "Claim*" --label tier=ci', 'Some of it')
    .action(async (name: string, url: string, options: WebhookOptions) =>
      (await actions()).addWebhook(context, name, url, options),
    );
  listing(webhook.command('list').alias('ls') as CliCommand, context).example('cellar webhook list', 'All webhooks');
  verb('show', 'Show a webhook, and how it does.')
    .example('cellar webhook show chat', 'Does it get through?')
    .action(async (name: string) => (await actions()).showWebhook(context, name));
  filterOptions(verb('update', 'Change a webhook. What is given replaces what it has; an empty word stands for all.'))
    .option('--url <url>', 'http or https')
    .example('cellar webhook update chat --type ClusterFailed --type HostUnreachable', 'Trouble only')
    .example('cellar webhook update chat --type ""', 'Everything again')
    .action(async (name: string, options: WebhookOptions) => (await actions()).updateWebhook(context, name, options));
  verb('enable', 'Tell it again, beginning with what it has missed.')
    .option('--skip-missed', 'Begin with what happens from now on.')
    .example('cellar webhook enable chat', 'When its receiver is well again')
    .action(async (name: string, options: { skipMissed?: boolean }) => (await actions()).enableWebhook(context, name, options));
  verb('disable', 'Tell it nothing for now.')
    .example('cellar webhook disable chat', 'While its receiver is rebuilt')
    .action(async (name: string) => (await actions()).disableWebhook(context, name));
  verb('ping', 'Send one message now. Exits with 1 when it was not heard.')
    .example('cellar webhook ping chat', 'Is anybody there?')
    .action(async (name: string) => (await actions()).pingWebhook(context, name));
  verb('rotate', 'Make a new secret and show it this once. The old one signs beside it for a day.')
    .option('--withdraw-old', 'The old one signs no more, at once.')
    .example('cellar webhook rotate chat', 'A new secret')
    .action(async (name: string, options: { withdrawOld?: boolean }) => (await actions()).rotateSecret(context, name, options));
  verb('deliveries', 'List what was told and what came of it, the newest first.')
    .addOption(new Option('--state <state>', 'Only those.').choices(['delivered', 'failing', 'given_up']))
    .option('--last <count>', 'The last so many.', wholeNumber(1, 1000), 20)
    .example('cellar webhook deliveries chat --state given_up', 'What was not heard?')
    .action(async (name: string, options: DeliveryFilter) => (await actions()).listDeliveries(context, name, options));
  verb('delete', 'Tell it nothing any more.')
    .aliases(['remove', 'rm'])
    .option('-y, --yes', 'Do not ask.')
    .example('cellar webhook delete chat', 'Delete one')
    .action(async (name: string, options: { yes?: boolean }) => (await actions()).deleteWebhook(context, name, options));
}
