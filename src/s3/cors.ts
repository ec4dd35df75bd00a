import type { S3Answer } from './answer.ts';
import type { Backend } from './backend.ts';
import type { CorsRule } from './bucket-settings.ts';
import { S3Error } from './errors.ts';

type Headers = ReadonlyMap<string, string>;

/**
 * What a browser is told about a request from a page of another origin, by the rules of the bucket; nothing when none fits.
 *
 * A rule for `*` never lets a page send credentials, and a pattern does not either: only an origin that a rule names can.
 */
export function corsHeaders(
  rules: readonly CorsRule[],
  origin: string,
  method: string,
  asked?: readonly string[],
): Record<string, string> | undefined {
  for (const rule of rules) {
    const pattern = rule.origins.find((one) => matches(one, origin));
    if (pattern === undefined || !rule.methods.includes(method)) continue;
    if (asked?.some((name) => !rule.headers.some((one) => matches(one.toLowerCase(), name)))) continue;
    return {
      'access-control-allow-origin': pattern === '*' ? '*' : origin,
      ...(pattern === origin ? { 'access-control-allow-credentials': 'true' } : {}),
      'access-control-allow-methods': rule.methods.join(', '),
      ...(asked && asked.length > 0 ? { 'access-control-allow-headers': asked.join(', ') } : {}),
      ...(rule.exposedHeaders.length > 0 ? { 'access-control-expose-headers': rule.exposedHeaders.join(', ') } : {}),
      ...(rule.maxAgeSeconds === undefined ? {} : { 'access-control-max-age': String(rule.maxAgeSeconds) }),
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
    };
  }
  return undefined;
}

/** The CORS headers of an answer to a request that a page sent. Never rejects: a bucket that is not there has no rules. */
export async function answerCors(
  backend: Backend,
  bucket: string,
  method: string,
  headers: Headers,
): Promise<Record<string, string>> {
  const origin = headers.get('origin');
  if (origin === undefined || bucket === '') return {};
  const rules = await rulesOf(backend, bucket);
  return corsHeaders(rules, origin, headers.get('access-control-request-method') ?? method) ?? {};
}

/** Answers OPTIONS, which browsers send unsigned before the request itself. Errors: `InvalidRequest`, `AccessForbidden`. */
export async function preflight(backend: Backend, bucket: string, headers: Headers): Promise<S3Answer> {
  const origin = headers.get('origin');
  const method = headers.get('access-control-request-method');
  if (origin === undefined) throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.');
  if (!method) throw new S3Error('BadRequest', 'Invalid Access-Control-Request-Method: null');
  const asked = (headers.get('access-control-request-headers') ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  const rules = await rulesOf(backend, bucket);
  const found = corsHeaders(rules, origin, method, asked);
  if (found) return { headers: found };
  throw new S3Error(
    'AccessForbidden',
    rules.length === 0
      ? 'CORSResponse: CORS is not enabled for this bucket.'
      : "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
  );
}

async function rulesOf(backend: Backend, bucket: string): Promise<readonly CorsRule[]> {
  try {
    return (await backend.bucketSettings(bucket)).cors ?? [];
  } catch (error) {
    if (S3Error.from(error).code === 'NoSuchBucket') return [];
    throw error;
  }
}

/** A pattern has one `*` at most, which stands for any text. */
function matches(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail);
}
