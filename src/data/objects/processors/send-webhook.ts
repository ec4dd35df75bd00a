import { createHmac } from 'node:crypto';
import { unavailable } from '#kernel/fault.ts';
import { postWebhook } from '#kernel/post-webhook.ts';

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

/** Tells somebody something; done when they answer with a 2xx. Errors: those of `postWebhook`, and `unavailable` for any other answer. */
export async function sendWebhook({ url, body, id }: Webhook, options: WebhookOptions, signal: AbortSignal): Promise<void> {
  const { secret, isPrivateAllowed, timeoutMs, now } = options;
  const signature = secret === '' ? {} : { 'x-cellar-signature': webhookSignature(secret, now(), body) };
  const post = { url, body, headers: { 'x-cellar-delivery': id, ...signature } };
  const { status } = await postWebhook(
    post,
    { isPrivateAllowed, timeoutMs, privateSetting: 'objects.webhooksToPrivate' },
    signal,
  );
  if (status < 200 || status > 299) throw unavailable(`${URL.parse(url)?.host ?? url} answered ${status}`);
}
