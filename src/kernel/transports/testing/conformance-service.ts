import { create } from '@bufbuild/protobuf';
import { Conformance, DescribeResponseSchema } from '#gen/cellar/testing/v1/conformance_pb.ts';
import type { Call } from '../../calls/call.ts';
import type { Route } from '../../calls/client.ts';
import { type Client, createClient } from '../../calls/client.ts';
import { Dispatcher, implement } from '../../calls/dispatcher.ts';
import type { Endpoint } from '../../calls/endpoint.ts';
import { type Code, Fault } from '../../fault.ts';
import { silentLog } from '../../log.ts';

/** Name of the instance that serves the contract. */
export const conformanceService = 'cellar.grpc.testing.conformance';

/** What the service did, for tests that run in its process. */
export interface Seen {
  /** Packets that streams have produced. */
  produced: number;
  /** Calls whose signal aborted, with the code of the reason. */
  readonly aborted: string[];
  /** Calls that have begun to wait. */
  waiting: number;
  /** Streams that were left before their end. */
  left: number;
}

/** Adds the service to an endpoint. `route`: the way to itself, for nested calls. */
export function addConformance(endpoint: Endpoint, route: () => Route): { readonly seen: Seen; readonly dispatcher: Dispatcher } {
  const seen: Seen = { produced: 0, aborted: [], waiting: 0, left: 0 };
  const self: Client<typeof Conformance> = createClient(Conformance, { route, via: conformanceService });
  const binding = implement(Conformance, {
    echo: (request) => request,
    fail: (request) => {
      if (request.isBug) throw new TypeError('a bug with a secret in it');
      throw new Fault(request.code as Code, request.message, {
        violations: request.fields.map((field) => ({ field, message: 'is wrong' })),
        ...(request.reason ? { reason: request.reason } : {}),
        ...(request.hint ? { hint: request.hint } : {}),
        ...(request.retryAfterMs ? { retryAfterMs: request.retryAfterMs } : {}),
      });
    },
    adminOnly: (request) => request,
    wait: async (request, call) => {
      seen.waiting++;
      await new Promise<void>((resolve) => noteAbort(seen, call, request.name, request.heedsSignal ? resolve : () => undefined));
      return {};
    },
    describe: async ({ depth }, call) => {
      const { caller } = call;
      return create(DescribeResponseSchema, {
        callerId: caller.id,
        callerName: caller.name,
        roles: [...caller.roles],
        scopes: [...caller.scopes],
        via: caller.via,
        traceId: call.trace.traceId,
        idempotencyKey: call.idempotencyKey,
        ...(call.deadlineMs === Number.POSITIVE_INFINITY ? {} : { timeLeftMs: call.timeLeftMs }),
        ...(depth > 0 ? { nested: await self.describe({ depth: depth - 1 }, { call }) } : {}),
      });
    },
    async *count({ count, size, failAfter, waitAfter }, call) {
      noteAbort(seen, call, 'count', () => undefined);
      const data = new Uint8Array(size);
      let isWhole = false;
      try {
        for (let number = 1; number <= count; number++) {
          if (failAfter > 0 && number > failAfter) throw new Fault('data_loss', 'The count is lost', { reason: 'count_lost' });
          if (waitAfter > 0 && number > waitAfter) {
            seen.waiting++;
            await new Promise((_, reject) => noteAbort(seen, call, 'wait_after', () => reject(call.signal.reason)));
          }
          seen.produced++;
          yield { number: BigInt(number), data };
        }
        isWhole = true;
      } finally {
        if (!isWhole) seen.left++;
      }
    },
    sum: async (requests) => {
      let sum = 0n;
      let isWhole = false;
      try {
        for await (const { number, name } of requests) {
          sum += number;
          seen.waiting++;
          if (name === 'stop') break;
        }
        isWhole = true;
      } finally {
        if (!isWhole) seen.left++;
      }
      return { number: sum };
    },
    async *chat(requests) {
      let isWhole = false;
      try {
        for await (const request of requests) {
          yield { name: 'got', number: request.number, data: request.data };
          if (request.name === 'twice') yield { name: 'again', number: request.number };
        }
        isWhole = true;
      } finally {
        if (!isWhole) seen.left++;
      }
    },
  });
  const dispatcher = new Dispatcher([binding], { service: conformanceService, log: silentLog });
  endpoint.add(dispatcher);
  return { seen, dispatcher };
}

function noteAbort(seen: Seen, call: Call, name: string, then: () => void): void {
  call.signal.addEventListener(
    'abort',
    () => {
      seen.aborted.push(`${name}:${Fault.from(call.signal.reason).code}`);
      then();
    },
    { once: true },
  );
}
