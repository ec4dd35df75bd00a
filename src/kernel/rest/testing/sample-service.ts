import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import { RestSample } from '#gen/cellar/testing/v1/rest_pb.ts';
import { HttpBodySchema } from '#gen/google/api/httpbody_pb.ts';
import type { Call } from '../../calls/call.ts';
import { type Binding, implement } from '../../calls/dispatcher.ts';
import { alreadyExists, type Code, Fault, notFound } from '../../fault.ts';

export interface StoredBlob {
  readonly contentType: string;
  readonly data: Buffer;
  readonly etag: string;
  readonly modifyTimeMs: number;
}

/** What the service holds and saw, for tests. */
export interface SampleState {
  readonly blobs: Map<string, StoredBlob>;
  /** The latest ones: keeping all would make a benchmark measure the memory it fills. */
  readonly calls: Call[];
  /** Calls of streams and uploads that ended, with how. */
  readonly ended: string[];
  /** Woken at every entry of `ended`. */
  onEnd: () => void;
}

const pieceSizeBytes = 64 * 1024;
const callsMax = 100;

/** The sample contract: echoes, and keeps blobs in memory. */
export function sampleService(): { readonly binding: Binding; readonly state: SampleState } {
  const state: SampleState = { blobs: new Map(), calls: [], ended: [], onEnd: () => undefined };
  const end = (how: string): void => {
    state.ended.push(how);
    state.onEnd();
  };
  const noteCall = (call: Call): void => {
    if (state.calls.push(call) > callsMax) state.calls.shift();
  };
  const blobAt = (path: string): StoredBlob => {
    const blob = state.blobs.get(path);
    if (!blob) throw notFound(`There is no blob "${path}"`, { reason: 'no_such_blob' });
    return blob;
  };
  const binding = implement(RestSample, {
    echo: (request, call) => {
      noteCall(call);
      return request;
    },
    getChild: (request) => ({ child: { name: request.name, sizeBytes: request.huge } }),
    find: (request) => request,
    count: async function* (request, call) {
      noteCall(call);
      try {
        for (let number = 1; number <= request.to; number++) {
          if (number === request.failAt) throw notFound(`There is no ${number}`, { reason: 'no_such_number' });
          yield { position: BigInt(number), text: `number ${number}` };
        }
        if (request.hang)
          await new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)));
        end('count: whole');
      } catch (error) {
        end(`count: ${Fault.from(error).code}`);
        throw error;
      }
    },
    putBlob: async (requests) => {
      let path = '';
      let contentType = '';
      let announced = 0n;
      let pieces = 0;
      const chunks: Uint8Array[] = [];
      try {
        for await (const request of requests) {
          if (pieces++ === 0) {
            path = request.path;
            contentType = request.content?.contentType ?? '';
            announced = request.sizeBytes ?? 0n;
            if (request.ifAbsent && state.blobs.has(path)) throw alreadyExists(`There is a blob "${path}"`, { reason: 'exists' });
          }
          if (request.content) chunks.push(request.content.data);
        }
      } catch (error) {
        end(`put: ${Fault.from(error).code}`);
        throw error;
      }
      const data = Buffer.concat(chunks);
      state.blobs.set(path, { contentType, data, etag: `v${state.blobs.size}-${data.length}`, modifyTimeMs: 1_700_000_000_000 });
      return { path, contentType, received: BigInt(data.length), announced, pieces };
    },
    getBlob: async function* (request) {
      const { data, contentType, etag, modifyTimeMs } = blobAt(request.path);
      const size = data.length;
      const suffix = Number(request.suffixLength);
      const first = suffix ? Math.max(0, size - suffix) : Math.min(size, Number(request.firstByte));
      const last = !suffix && request.length > 0n ? Math.min(size, first + Number(request.length)) : size;
      const info = create(ContentInfoSchema, {
        sizeBytes: BigInt(size),
        etag,
        modifyTime: timestampFromMs(modifyTimeMs),
        firstByte: BigInt(first),
        length: BigInt(last - first),
      });
      yield create(HttpBodySchema, { contentType, extensions: [anyPack(ContentInfoSchema, info)] });
      try {
        for (let at = first; at < last; at += pieceSizeBytes)
          yield create(HttpBodySchema, { data: data.subarray(at, Math.min(last, at + pieceSizeBytes)) });
        end('get: whole');
      } finally {
        end('get: left');
      }
    },
    renderBlob: (request): MessageInitShape<typeof HttpBodySchema> => {
      const { data, contentType } = blobAt(request.path);
      return { contentType, data };
    },
    fail: (request) => {
      if (request.code === '') throw new TypeError('a bug with a secret in it');
      throw new Fault(request.code as Code, request.message, {
        ...(request.reason ? { reason: request.reason } : {}),
        ...(request.hint ? { hint: request.hint } : {}),
        ...(request.retryAfterMs ? { retryAfterMs: Number(request.retryAfterMs) } : {}),
      });
    },
  });
  return { binding, state };
}
