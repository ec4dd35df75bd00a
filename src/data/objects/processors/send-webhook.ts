import { createHmac } from 'node:crypto';
import { lookup } from 'node:dns';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Fault, failedPrecondition, invalidArgument, unavailable } from '#kernel/fault.ts';
import { isPrivateAddress } from '#lib/private-address.ts';

export interface Webhook {
  /** `http` or `https`. */
  readonly url: string;
  readonly body: string;
  /** The same each time one thing is told again. */
  readonly id: string;
}

export interface WebhookOptions {
  /** Signs what is sent; empty: it is not signed. */
  readonly secret: string;
  /** Whether addresses of this machine and of local networks may be told; then whoever may set rules can have requests sent to all of them. */
  readonly isPrivateAllowed: boolean;
  readonly timeoutMs: number;
  readonly now: () => number;
}

/**
 * The value of `x-cellar-signature`: `t=<seconds since 1970>,v1=<hex>`, the HMAC-SHA-256 of `<seconds>.<body>` by the secret. The time is
 * in it so that a receiver can refuse what was recorded long ago.
 */
export function webhookSignature(secret: string, timeMs: number, body: string): string {
  const seconds = Math.floor(timeMs / 1000);
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/**
 * Tells somebody something; done when they answer with a 2xx. Redirects are not followed. The address is looked at when it is connected
 * to, so a name that means another one a moment later does not help.
 * Errors: `invalid_argument` for what is no web address, `failed_precondition` with reason `private_address`, else `unavailable`.
 */
export async function sendWebhook({ url, body, id }: Webhook, options: WebhookOptions, signal: AbortSignal): Promise<void> {
  const { secret, isPrivateAllowed, timeoutMs, now } = options;
  const target = URL.parse(url);
  if (!target || !/^https?:$/.test(target.protocol))
    throw invalidArgument(`Cannot tell ${JSON.stringify(url)}: it is no http or https address`);
  const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
  // An address is connected to as it is, without being looked up.
  if (!isPrivateAllowed && isIP(host) && isPrivateAddress(host)) throw privateAddress(host);
  const isSecure = target.protocol === 'https:';
  const request = (isSecure ? httpsRequest : httpRequest)(target, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    lookup: isPrivateAllowed ? lookup : publicLookup,
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'Cellar',
      'x-cellar-delivery': id,
      ...(secret === '' ? {} : { 'x-cellar-signature': webhookSignature(secret, now(), body) }),
    },
  });
  const answered = once(request, 'response');
  request.end(body);
  let status: number;
  try {
    const [response] = await answered;
    status = response.statusCode;
    // Nothing of what they say is of interest.
    response.destroy();
  } catch (error) {
    if (error instanceof Error && error.cause instanceof Fault) throw error.cause;
    throw unavailable(`${target.host} could not be told`, { cause: error });
  }
  if (status < 200 || status > 299) throw unavailable(`${target.host} answered ${status}`);
}

/** The system's look-up, that fails when any of the addresses is private. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '');
    const found = addresses.find(({ address }) => isPrivateAddress(address));
    if (found) return callback(new Error('A private address', { cause: privateAddress(hostname) }), '');
    const [first] = addresses;
    if (!first) return callback(new Error(`${hostname} has no address`), '');
    if (options.all) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

const privateAddress = (host: string) =>
  failedPrecondition(`Cannot tell ${host}: it is on this machine or a local network`, {
    reason: 'private_address',
    hint: 'An administrator can allow it with the setting objects.webhooksToPrivate.',
  });
