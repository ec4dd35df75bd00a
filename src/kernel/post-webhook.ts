import { lookup } from 'node:dns';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPrivateAddress } from '#lib/private-address.ts';
import { Fault, failedPrecondition, invalidArgument, unavailable } from './fault.ts';

export interface WebhookPost {
  /** `http` or `https`. */
  readonly url: string;
  /** JSON, at most 1 MiB. */
  readonly body: string;
  /** What says who sends it and which message it is. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface PostOptions {
  /** Whether addresses of this machine and of local networks may be told; then whoever names the address can have requests sent to all of them. */
  readonly isPrivateAllowed: boolean;
  /** The setting that allows it, for the hint of the error. */
  readonly privateSetting: string;
  /** Until the receiver has answered. */
  readonly timeoutMs: number;
}

export interface WebhookAnswer {
  readonly status: number;
  /** What the receiver asks to wait before the next try; 0: it did not say. */
  readonly retryAfterMs: number;
}

const bodyBytesMax = 1024 * 1024;

/**
 * The address as a URL. Errors: `invalid_argument` for what is no web address, `failed_precondition` with reason
 * `private_address` for a number that is not the public Internet's.
 */
export function parseWebhookUrl(url: string, options: Pick<PostOptions, 'isPrivateAllowed' | 'privateSetting'>): URL {
  const target = URL.parse(url);
  if (!target || !/^https?:$/.test(target.protocol))
    throw invalidArgument(`Cannot tell ${JSON.stringify(url)}: it is no http or https address`, { reason: 'url_invalid' });
  const host = hostOf(target);
  // An address is connected to as it is, without being looked up.
  if (!options.isPrivateAllowed && isIP(host) && isPrivateAddress(host)) throw privateAddress(host, options.privateSetting);
  return target;
}

/**
 * Sends one message to whoever listens there, and gives back what they answered, whatever it is. Redirects are not followed. The address
 * is looked at when it is connected to, so a name that means another one a moment later does not help.
 * Errors: those of `parseWebhookUrl`; `unavailable` when nobody answers in time.
 */
export async function postWebhook(post: WebhookPost, options: PostOptions, signal: AbortSignal): Promise<WebhookAnswer> {
  const { body, headers } = post;
  const { isPrivateAllowed, privateSetting, timeoutMs } = options;
  const target = parseWebhookUrl(post.url, options);
  const length = Buffer.byteLength(body);
  if (length > bodyBytesMax) throw invalidArgument(`Cannot tell ${target.host}: ${length} bytes are too much`);
  const request = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    lookup: isPrivateAllowed ? lookup : publicLookup(privateSetting),
    headers: { 'content-type': 'application/json', 'content-length': length, 'user-agent': 'Cellar', ...headers },
  });
  try {
    const answered = once(request, 'response');
    request.end(body);
    const [response] = (await answered) as [IncomingMessage];
    const { statusCode = 0 } = response;
    // A date instead of seconds counts as nothing said.
    const seconds = Number(response.headers['retry-after']);
    // Nothing of what they say is of interest, and it may be without end.
    response.destroy();
    return { status: statusCode, retryAfterMs: seconds > 0 ? seconds * 1000 : 0 };
  } catch (error) {
    if (error instanceof Error && error.cause instanceof Fault) throw error.cause;
    const isLate = !signal.aborted && request.destroyed && error instanceof Error && error.name === 'AbortError';
    throw unavailable(`${target.host} ${isLate ? `did not answer within ${timeoutMs / 1000} s` : 'could not be told'}`, {
      reason: isLate ? 'no_answer' : 'not_reached',
      cause: error,
    });
  }
}

/** The system's look-up, that fails when any of the addresses is private. */
const publicLookup =
  (privateSetting: string): LookupFunction =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '');
      const found = addresses.find(({ address }) => isPrivateAddress(address));
      if (found) return callback(new Error('A private address', { cause: privateAddress(hostname, privateSetting) }), '');
      const [first] = addresses;
      if (!first) return callback(new Error(`${hostname} has no address`), '');
      if (options.all) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1');

const privateAddress = (host: string, setting: string): Fault =>
  failedPrecondition(`Cannot tell ${host}: it is on this machine or a local network`, {
    reason: 'private_address',
    hint: `An administrator can allow it with the setting ${setting}.`,
  });
