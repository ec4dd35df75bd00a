import type { IncomingMessage, ServerResponse } from 'node:http';
import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { Code, exhausted, Fault, unauthenticated, unavailable } from '#kernel/fault.ts';
import { readJsonBody } from '#kernel/rest/body.ts';
import { HttpFault } from '#kernel/rest/problem.ts';
import type { Registry } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import { readNotificationMessage } from '#s3/notification-message.ts';
import { clientAddress } from './client-address.ts';
import { answerJson } from './health.ts';
import { createRateLimit } from './rate-limit.ts';

export interface NotificationsDoorOptions {
  readonly registry: Pick<Registry, 'get'>;
  readonly client: Micro['client'];
  readonly trustsProxy: boolean;
  readonly headers: Record<string, string>;
}

/** Answers a POST of an S3 event notification. Errors: what could not be taken, and why. */
export type NotificationsDoor = (path: string, request: IncomingMessage, response: ServerResponse) => Promise<void>;

export const notificationsPath = '/notifications/';
const syncService = 'cellar.grpc.data.sync.';
const bodySizeBytesMax = 1024 * 1024;
/** Messages that are read at the same time. */
const atOnceMax = 32;
/** Of one address: so many messages at once and per second; one that is refused counts as many. */
const rate = { burst: 2000, perSecond: 500, refused: 50 };

/**
 * Where the servers of remote buckets tell what happened: `POST /notifications/DATASOURCE`. It is no call of a user, so it has no place among
 * those: who tells is known by the datasource's own token, which opens nothing else. A 2xx says that sync has the hint.
 */
export function createNotificationsDoor({ registry, client, trustsProxy, headers }: NotificationsDoorOptions): NotificationsDoor {
  const limit = createRateLimit({ ...rate, now: () => performance.now() });
  let atOnce = 0;

  async function take(name: string, request: IncomingMessage): Promise<{ taken: bigint; ignored: bigint }> {
    const token = tokenOf(request);
    if (token === undefined) throw unknown();
    const service = syncService + name;
    if (!registry.get(service)) throw unknown();
    const sync = client(Sync, { service });
    // Asked first, so that nothing is read of what strangers send.
    await sync.takeNotification({ token });
    // Some servers do not say that it is JSON.
    const records = readNotificationMessage(await readJsonBody(request, bodySizeBytesMax, true));
    return records.length === 0 ? { taken: 0n, ignored: 0n } : await sync.takeNotification({ token, records: [...records] });
  }

  return async (path, request, response) => {
    if (request.method !== 'POST') {
      const fault = new Fault(Code.Unimplemented, `${path} only takes notifications`, {
        reason: 'method_not_allowed',
        hint: 'Use POST.',
      });
      throw new HttpFault(405, fault, { allow: 'POST' });
    }
    const address = clientAddress(request, trustsProxy);
    const waitMs = limit.waitMs(address);
    if (waitMs > 0)
      throw exhausted('Too many notifications come from this address', { reason: 'rate_limited', retryAfterMs: waitMs });
    if (atOnce >= atOnceMax) throw unavailable('Too many notifications come at once', { reason: 'busy', retryAfterMs: 1000 });
    atOnce += 1;
    try {
      const { taken, ignored } = await take(path.slice(notificationsPath.length), request);
      limit.spend(address, 1);
      answerJson(response, 200, headers, { taken: Number(taken), ignored: Number(ignored) });
    } catch (error) {
      // What is away is not the sender's fault.
      limit.spend(address, error instanceof Fault && error.code === Code.Unavailable ? 1 : rate.refused);
      throw error;
    } finally {
      atOnce -= 1;
    }
  };
}

/**
 * `Authorization: Bearer`, or the password of `Authorization: Basic`: what senders make of `https://cellar:TOKEN@host/...` when all they can be
 * given is an address. So the token is never a part of the path, which proxies and logs keep.
 */
function tokenOf({ headers: { authorization = '' } }: IncomingMessage): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? [];
  const text =
    scheme.toLowerCase() === 'basic'
      ? Buffer.from(value, 'base64')
          .toString()
          .replace(/^[^:]*:/, '')
      : value;
  return /^[!-~]{1,200}$/.test(text) ? text : undefined;
}

const unknown = (): Fault =>
  unauthenticated('Cannot take the notification: its token is not known', {
    hint: 'Send the token of the datasource; `cellar datasource notify NAME` makes a new one.',
  });
