import { type XmlChild, type XmlNode, xml } from '#lib/xml.ts';
import type { NotificationRule } from './bucket-settings.ts';
import { S3Error } from './errors.ts';

/** The topic that stands for our own stream of changes. */
const streamTopic = 'arn:cellar:sns:::changes';
const rulesMax = 100;

const events = new Set([
  's3:ObjectCreated:*',
  's3:ObjectCreated:Put',
  's3:ObjectCreated:Post',
  's3:ObjectCreated:Copy',
  's3:ObjectCreated:CompleteMultipartUpload',
  's3:ObjectRemoved:*',
  's3:ObjectRemoved:Delete',
  's3:ObjectRemoved:DeleteMarkerCreated',
  's3:LifecycleExpiration:*',
  's3:LifecycleExpiration:Delete',
  's3:LifecycleExpiration:DeleteMarkerCreated',
]);

/**
 * The rules of a document. A topic is the `http(s)` address that is told, or `arn:cellar:sns:::changes` for our own stream.
 * Errors: `MalformedXML`, `InvalidArgument`; `NotImplemented` for queues and functions.
 */
export function readNotifications(document: XmlNode): readonly NotificationRule[] {
  for (const name of ['QueueConfiguration', 'CloudFunctionConfiguration', 'EventBridgeConfiguration'])
    if (document.all(name).length > 0)
      throw new S3Error(
        'NotImplemented',
        `${name} is not implemented: use a TopicConfiguration with an http(s) address as its Topic`,
      );
  const rules = document.all('TopicConfiguration').map(readRule);
  if (rules.length > rulesMax) throw new S3Error('InvalidArgument', `There can be at most ${rulesMax} notification rules`);
  if (new Set(rules.map(({ id }) => id)).size < rules.length)
    throw new S3Error('InvalidArgument', 'Same ID used for multiple configurations. IDs must be unique');
  return rules;
}

function readRule(node: XmlNode, at: number): NotificationRule {
  const topic = node.value('Topic')?.trim();
  const names = node.all('Event').map(({ text }) => text.trim());
  if (!topic || names.length === 0) throw new S3Error('MalformedXML');
  const unknown = names.find((name) => !events.has(name));
  if (unknown !== undefined)
    throw new S3Error('InvalidArgument', `The event "${unknown}" is not supported for notifications`, {
      fields: { ArgumentName: 'Event', ArgumentValue: unknown },
    });
  const isAddress = /^https?:\/\//.test(topic) && URL.canParse(topic);
  if (topic !== streamTopic && !isAddress)
    throw new S3Error('InvalidArgument', `The topic must be an http(s) address or ${streamTopic}`, {
      fields: { ArgumentName: 'Topic', ArgumentValue: topic },
    });
  return { id: node.value('Id') || `rule-${at + 1}`, target: isAddress ? topic : '', events: names, ...readFilter(node) };
}

function readFilter(node: XmlNode): Pick<NotificationRule, 'prefix' | 'suffix'> {
  const found = { prefix: '', suffix: '' };
  const seen = new Set<string>();
  for (const rule of node.all('Filter')[0]?.all('S3Key')[0]?.all('FilterRule') ?? []) {
    const name = rule.value('Name')?.trim().toLowerCase();
    if ((name !== 'prefix' && name !== 'suffix') || seen.has(name))
      throw new S3Error('InvalidArgument', 'filter rule name must be either prefix or suffix, each at most once');
    seen.add(name);
    found[name] = rule.value('Value') ?? '';
  }
  return found;
}

export const notificationElements = (rules: readonly NotificationRule[]): XmlChild[] =>
  rules.map(({ id, target, events: names, prefix, suffix }) => {
    const filters = Object.entries({ Prefix: prefix, Suffix: suffix })
      .filter(([, value]) => value !== '')
      .map(([name, value]) => xml('FilterRule', [xml('Name', name), xml('Value', value)]));
    return xml('TopicConfiguration', [
      xml('Id', id),
      xml('Topic', target === '' ? streamTopic : target),
      ...names.map((name) => xml('Event', name)),
      filters.length > 0 && xml('Filter', [xml('S3Key', filters)]),
    ]);
  });
