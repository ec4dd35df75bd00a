import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { DescMessage, Message } from '@bufbuild/protobuf';
import { anyUnpack, timestampMs } from '@bufbuild/protobuf/wkt';
import { type ContentInfo, ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import type { HttpBody } from '#gen/google/api/httpbody_pb.ts';
import { decideRead, isSameForRange } from '#lib/http-conditions.ts';
import { formatHttpDate, parseHttpDate } from '#lib/http-date.ts';
import { sandboxPolicy } from '#lib/sandbox-policy.ts';
import { Code, Fault, failedPrecondition } from '../fault.ts';
import { writePiece } from './answer.ts';
import { HttpFault } from './problem.ts';

/** Which part of a content is asked for; all zero: everything. Unit: bytes. */
interface Part {
  readonly firstByte: bigint;
  readonly length: bigint;
  readonly suffixLength: bigint;
}

const whole: Part = { firstByte: 0n, length: 0n, suffixLength: 0n };

/**
 * Answers with a content that a service streams as `google.api.HttpBody`, by the rules of HTTP: ranges, conditions, HEAD.
 *
 * `open` begins the call for one part; it may be called twice, when `If-Range` says that the whole is wanted after all.
 * The first message's `extensions` say what the content is (`cellar.kernel.v1.ContentInfo`); without it there are no ranges.
 * Errors: of the call; 412 for a condition, 416 for a part outside. Source: RFC 9110, 13 and 14.
 */
export async function sendContent(
  request: IncomingMessage,
  response: ServerResponse,
  canRange: boolean,
  common: OutgoingHttpHeaders,
  open: (part: Part) => AsyncIterable<HttpBody>,
): Promise<void> {
  const { headers } = request;
  let part = canRange ? parsePart(headers.range) : undefined;
  let iterator = open(part ?? whole)[Symbol.asyncIterator]();
  try {
    let first = await iterator.next();
    let info = first.done ? undefined : infoOf(first.value);
    const ifRange = headers['if-range'] as string | undefined;
    if (
      part &&
      info &&
      ifRange !== undefined &&
      !isSameForRange(ifRange, { etag: info.etag, mtimeMs: modifiedMs(info) ?? Number.NaN })
    ) {
      await iterator.return?.();
      part = undefined;
      iterator = open(whole)[Symbol.asyncIterator]();
      first = await iterator.next();
      info = first.done ? undefined : infoOf(first.value);
    }
    const answer: OutgoingHttpHeaders = { ...common, 'content-security-policy': sandboxPolicy };
    if (info) {
      Object.assign(answer, validators(info), {
        'accept-ranges': canRange ? 'bytes' : 'none',
        'cache-control': 'private, no-cache',
      });
      const decision = decideRead(conditionsOf(request), { etag: info.etag, mtimeMs: modifiedMs(info) ?? 0 });
      if (decision === 'failed')
        throw new HttpFault(
          412,
          failedPrecondition('The content is not the one the condition names', { reason: 'condition_failed' }),
        );
      if (decision === 'not_modified') {
        response.writeHead(304, answer);
        response.end();
        return;
      }
      if (part && info.length === 0n) {
        const fault = new Fault(
          Code.OutOfRange,
          `The range ${headers.range} lies outside the content of ${info.sizeBytes} bytes`,
          {
            reason: 'range_outside',
          },
        );
        throw new HttpFault(416, fault, { 'content-range': `bytes */${info.sizeBytes}` });
      }
      answer['content-length'] = String(info.length);
      if (part) answer['content-range'] = `bytes ${info.firstByte}-${info.firstByte + info.length - 1n}/${info.sizeBytes}`;
    }
    answer['content-type'] = (!first.done && first.value.contentType) || 'application/octet-stream';
    response.writeHead(part && info ? 206 : 200, answer);
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    let sent = 0n;
    for (let next = first; !next.done; next = await iterator.next()) {
      const { data } = next.value;
      if (data.length === 0) continue;
      sent += BigInt(data.length);
      await writePiece(response, data);
    }
    // The client must see a broken answer, not wait for the rest.
    if (info && sent !== info.length) throw new Fault(Code.DataLoss, `The content ended after ${sent} of ${info.length} bytes`);
    response.end();
  } finally {
    await iterator.return?.();
  }
}

/** True when the request message of a download can say which part is wanted. */
export function hasPart(desc: DescMessage): boolean {
  return desc.field['firstByte'] !== undefined && desc.field['length'] !== undefined && desc.field['suffixLength'] !== undefined;
}

export function withPart(message: Message, part: Part): Message {
  return part === whole
    ? message
    : Object.assign(Object.create(Object.getPrototypeOf(message) as object) as Message, message, part);
}

/** One range; several, and what is malformed, count as none, as the standard allows. */
function parsePart(header: string | undefined): Part | undefined {
  const match = header === undefined ? null : /^bytes=(\d{0,18})-(\d{0,18})$/.exec(header.trim());
  if (!match) return undefined;
  const [, first = '', last = ''] = match;
  // A suffix of no bytes can never be satisfied; one byte far behind any end says the same to the service.
  if (first === '')
    return last === '' ? undefined : last === '0' ? { ...whole, firstByte: 2n ** 62n } : { ...whole, suffixLength: BigInt(last) };
  const firstByte = BigInt(first);
  if (last === '') return { ...whole, firstByte };
  return BigInt(last) < firstByte ? undefined : { ...whole, firstByte, length: BigInt(last) - firstByte + 1n };
}

function infoOf(body: HttpBody): ContentInfo | undefined {
  for (const extension of body.extensions) {
    const info = anyUnpack(extension, ContentInfoSchema);
    if (info) return info;
  }
  return undefined;
}

function validators(info: ContentInfo): OutgoingHttpHeaders {
  const timeMs = modifiedMs(info);
  return {
    ...(info.etag === '' ? {} : { etag: `"${info.etag}"` }),
    ...(timeMs === undefined ? {} : { 'last-modified': formatHttpDate(timeMs) }),
  };
}

function modifiedMs(info: ContentInfo): number | undefined {
  return info.modifyTime && timestampMs(info.modifyTime);
}

function conditionsOf({ headers }: IncomingMessage) {
  return {
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSinceMs: parseHttpDate(headers['if-modified-since']),
    ifUnmodifiedSinceMs: parseHttpDate(headers['if-unmodified-since']),
  };
}
