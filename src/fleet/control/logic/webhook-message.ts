import { createHmac } from 'node:crypto';
import { toJson } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { type FleetEvent, FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { EventFilter } from '../store/webhooks.ts';

/** What is told of an event of a longer message is cut there. */
const messageLengthMax = 16_000;
const secretPrefix = 'whsec_';

/** What is sent, the same at each attempt. */
export interface WebhookMessage {
  readonly id: string;
  readonly type: string;
  readonly body: string;
}

/** Whether a webhook wants an event. What is not about a cluster has no blueprint and no labels. */
export function isWanted({ types, hosts, blueprints, labels }: EventFilter, event: FleetEvent): boolean {
  const isType = (type: string): boolean =>
    type.endsWith('*') ? event.reason.startsWith(type.slice(0, -1)) : event.reason === type;
  return (
    (types.length === 0 || types.some(isType)) &&
    (hosts.length === 0 || hosts.includes(event.host)) &&
    (blueprints.length === 0 || blueprints.includes(event.blueprint)) &&
    Object.entries(labels).every(([name, value]) => event.labels[name] === value)
  );
}

/**
 * The message of an event. Its id is that of the event: of this fleet, this position and this time, since positions come again when a
 * database is restored from a backup.
 */
export function webhookMessage(fleet: string, event: FleetEvent): WebhookMessage {
  const timeMs = event.time ? timestampMs(event.time) : 0;
  const message = event.message.length > messageLengthMax ? `${event.message.slice(0, messageLengthMax)} ...` : event.message;
  const data = toJson(FleetEventSchema, { ...event, message }, { alwaysEmitImplicit: true });
  return {
    id: `evt_${fleet}_${event.position}_${timeMs.toString(36)}`,
    type: event.reason,
    body: JSON.stringify({ type: event.reason, timestamp: new Date(timeMs).toISOString(), data }),
  };
}

export function pingMessage(uid: string, webhook: string, nowMs: number): WebhookMessage {
  const type = 'WebhookPing';
  const body = JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data: { webhook } });
  return { id: `ping_${uid}`, type, body };
}

/** The secret as receivers are given it, from hexadecimal digits. */
export const secretText = (hex: string): string => `${secretPrefix}${Buffer.from(hex, 'hex').toString('base64')}`;

/**
 * The headers of one attempt, with a signature by each secret. The time is in it so that a receiver can refuse what was recorded long ago.
 * Source: Standard Webhooks, "Signature scheme".
 */
export function webhookHeaders(
  secrets: readonly string[],
  id: string,
  nowMs: number,
  body: string,
): Readonly<Record<string, string>> {
  const seconds = Math.floor(nowMs / 1000);
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(secretPrefix.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') };
}
