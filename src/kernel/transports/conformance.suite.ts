import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Conformance, PacketSchema } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { type Caller, serviceCaller } from '../calls/caller.ts';
import type { Channel } from '../calls/channel.ts';
import { type Client, type ClientOptions, createClient } from '../calls/client.ts';
import { methodOf, readContract } from '../calls/contract.ts';
import type { Dispatcher } from '../calls/dispatcher.ts';
import { Endpoint } from '../calls/endpoint.ts';
import { Trace } from '../calls/trace.ts';
import { Code, Fault } from '../fault.ts';
import { until } from '../testing/engines.ts';
import { addConformance, conformanceService, type Seen } from './testing/conformance-service.ts';

/** A process that serves the contract and can be killed. */
export interface Peer {
  readonly channel: Channel;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export interface Transport {
  readonly name: string;
  /** Serves the endpoint until the end of the test; a channel to it. */
  open(t: TestContext, endpoint: Endpoint): Promise<Channel>;
  /** The same in a process of its own; absent for calls that leave no process. */
  startPeer?(t: TestContext): Promise<Peer>;
  /** How many packets of 16 KiB a producer may be ahead of its reader. */
  readonly aheadMax: number;
}

interface Setup {
  readonly client: Client<typeof Conformance>;
  readonly channel: Channel;
  readonly seen: Seen;
  readonly dispatcher: Dispatcher;
  readonly endpoint: Endpoint;
}

const user: Caller = Object.freeze({
  id: 'u-17',
  name: 'Zoë Ω',
  roles: [Role.USER],
  scopes: ['testing:*', 'data:read'],
  via: '',
  credential: 't-9',
  origin: '192.0.2.7',
});

/** What a call must be on every transport; the same cases, the same outcomes. */
export function conformanceSuite(transport: Transport): void {
  const start = async (t: TestContext, options: Partial<ClientOptions> = {}): Promise<Setup> => {
    const endpoint = new Endpoint();
    const route = () => ({ channel, service: conformanceService });
    const { seen, dispatcher } = addConformance(endpoint, route);
    const channel: Channel = await transport.open(t, endpoint);
    return { client: createClient(Conformance, { route, caller: user, ...options }), channel, seen, dispatcher, endpoint };
  };

  describe(`calls over ${transport.name}`, () => {
    test('a message arrives as it was sent, with every kind of field', async (t) => {
      const { client } = await start(t);
      const packet = packetOf({
        name: 'Grüße',
        number: -(2n ** 63n),
        data: new Uint8Array([0, 1, 255]),
        time: timestampFromMs(1_700_000_000_123),
        tags: ['a', ''],
        labels: { k: 'v' },
      });
      const answer = await client.echo(packet);
      assert.deepEqual(answer, packet);
      assert.equal(Object.getPrototypeOf(answer.data), Uint8Array.prototype);
      assert.deepEqual(await client.echo({}), packetOf({}));
    });

    test('a message of 5 MiB arrives whole', async (t) => {
      const { client } = await start(t);
      const data = new Uint8Array(5 * 1024 * 1024).map((_, index) => index * 31);
      assert.deepEqual((await client.echo({ data })).data, data);
    });

    test('a message larger than 16 MiB is a clear fault, and calls go on', async (t) => {
      if (!transport.startPeer) return t.skip('direct calls carry references, of any size');
      const { client } = await start(t);
      const data = new Uint8Array(17 * 1024 * 1024);
      assert.deepEqual(codeAndReason(await faultOf(client.echo({ data }))), [Code.ResourceExhausted, 'message_too_large']);
      const answers = all(client.count({ count: 1, size: data.length }));
      assert.deepEqual(codeAndReason(await faultOf(answers)), [Code.ResourceExhausted, 'message_too_large']);
      assert.equal((await client.echo({ number: 1n })).number, 1n);
    });

    test('64 calls at once all get their own answer', async (t) => {
      const { client } = await start(t);
      const numbers = Array.from({ length: 64 }, (_, index) => BigInt(index));
      const answers = await Promise.all(numbers.map((number) => client.echo({ number })));
      assert.deepEqual(
        answers.map(({ number }) => number),
        numbers,
      );
    });

    test('a fault arrives with code, message, reason, hint, violations and time to retry', async (t) => {
      const { client } = await start(t);
      for (const code of Object.values(Code)) {
        const request = {
          code,
          message: `It is ${code}: ä, 100 %`,
          reason: 'because',
          hint: 'Do so.',
          retryAfterMs: 1500,
          fields: ['a.b', 'c'],
        };
        const fault = await faultOf(client.fail(request));
        assert.deepEqual(
          { code: fault.code, message: fault.message, reason: fault.reason, hint: fault.hint, retryAfterMs: fault.retryAfterMs },
          { code, message: request.message, reason: 'because', hint: 'Do so.', retryAfterMs: 1500 },
        );
        assert.deepEqual(fault.violations, [
          { field: 'a.b', message: 'is wrong' },
          { field: 'c', message: 'is wrong' },
        ]);
      }
      const plain = await faultOf(client.fail({ code: 'not_found', message: 'no' }));
      assert.deepEqual([plain.reason, plain.hint, plain.violations, plain.retryAfterMs], ['not_found', undefined, [], undefined]);
    });

    test('what a bug throws stays in the service', async (t) => {
      const { client } = await start(t);
      const fault = await faultOf(client.fail({ code: 'x', isBug: true }));
      assert.equal(fault.code, Code.Internal);
      assert.match(fault.message, /^Internal error; the log of .* has it under trace [0-9a-f]{32}$/);
    });

    test('an invalid request is refused with its violations, in streams too', async (t) => {
      const { client } = await start(t);
      const invalid = { name: 'x'.repeat(101) };
      const calls = [client.echo(invalid), client.sum(from([invalid])), last(client.chat(from([invalid])))];
      for (const fault of await Promise.all(calls.map(faultOf))) {
        assert.equal(fault.code, Code.InvalidArgument);
        assert.equal(fault.reason, 'invalid_request');
        assert.deepEqual(
          fault.violations.map(({ field }) => field),
          ['name'],
        );
      }
    });

    test('a caller without the role, without the scope, or without any credential is refused', async (t) => {
      const { client } = await start(t);
      assert.deepEqual(codeAndReason(await faultOf(client.adminOnly({}))), [Code.PermissionDenied, 'role_missing']);
      const weak = { ...user, scopes: ['data:*'] };
      assert.deepEqual(codeAndReason(await faultOf(client.echo({}, { caller: weak }))), [Code.PermissionDenied, 'scope_missing']);
      assert.deepEqual(codeAndReason(await faultOf(last(client.count({ count: 1 }, { caller: weak })))), [
        Code.PermissionDenied,
        'scope_missing',
      ]);
      const nobody = { id: '', name: 'anybody', roles: [], scopes: [], via: '' };
      assert.equal((await faultOf(client.echo({}, { caller: nobody }))).code, Code.Unauthenticated);
    });

    test('a method or a service that is not there', async (t) => {
      const { channel, endpoint, dispatcher } = await start(t);
      const elsewhere = createClient(Conformance, {
        route: () => ({ channel, service: 'cellar.grpc.testing.other' }),
        caller: user,
      });
      assert.deepEqual(codeAndReason(await faultOf(elsewhere.echo({}))), [Code.Unavailable, 'not_running']);
      assert.deepEqual(codeAndReason(await faultOf(last(elsewhere.count({ count: 1 })))), [Code.Unavailable, 'not_running']);
      endpoint.remove(dispatcher.service);
      const anyone = createClient(Conformance, { route: () => ({ channel, service: '' }), caller: user });
      assert.equal((await faultOf(anyone.echo({}))).code, Code.Unimplemented);
    });

    test('the deadline ends a call whose handler ignores it, and is known to the handler', async (t) => {
      const { client, seen } = await start(t);
      const startMs = performance.now();
      const fault = await faultOf(client.wait({ name: 'late' }, { timeoutMs: 80 }));
      assert.equal(fault.code, Code.DeadlineExceeded);
      assert.ok(performance.now() - startMs < 2000);
      await until(() => seen.aborted.some((entry) => /^late:(deadline_exceeded|canceled)$/.test(entry)));
      assert.equal((await faultOf(client.echo({}, { timeoutMs: 0 }))).code, Code.DeadlineExceeded);
      const stream = client.count({ count: 5, waitAfter: 2 }, { timeoutMs: 80 });
      assert.equal((await faultOf(last(stream))).code, Code.DeadlineExceeded);
      assert.equal((await client.echo({ number: 1n })).number, 1n);
    });

    test('cancelled before it was sent, a call never arrives', async (t) => {
      const { client, seen } = await start(t);
      const signal = AbortSignal.abort();
      assert.equal((await faultOf(client.wait({ heedsSignal: true }, { signal }))).code, Code.Canceled);
      assert.equal((await faultOf(last(client.count({ count: 3 }, { signal })))).code, Code.Canceled);
      assert.equal(seen.produced, 0);
    });

    test('cancelled while under way, a call ends at once at both ends', async (t) => {
      const { client, seen } = await start(t);
      const unary = new AbortController();
      const waiting = faultOf(client.wait({ name: 'one' }, { signal: unary.signal }));
      await until(() => seen.waiting === 1);
      unary.abort();
      assert.equal((await waiting).code, Code.Canceled);
      await until(() => seen.aborted.includes('one:canceled'));

      const streamed = new AbortController();
      const counting = faultOf(last(client.count({ count: 9, waitAfter: 3 }, { signal: streamed.signal })));
      await until(() => seen.waiting === 2);
      streamed.abort(new Fault('aborted', 'No more of this'));
      assert.equal((await counting).message, 'No more of this');
      await until(() => seen.aborted.includes('count:canceled') || seen.aborted.includes('count:aborted'));
    });

    test('a server stream arrives in order, whole and with its end', async (t) => {
      const { client } = await start(t);
      const numbers = (await all(client.count({ count: 2000, size: 10 }))).map(({ number }) => number);
      assert.deepEqual(
        numbers,
        Array.from({ length: 2000 }, (_, index) => BigInt(index + 1)),
      );
      assert.deepEqual(await all(client.count({ count: 0 })), []);
    });

    test('what a stream carried before its fault is delivered', async (t) => {
      const { client } = await start(t);
      const numbers: bigint[] = [];
      const fault = await faultOf(
        (async () => {
          for await (const { number } of client.count({ count: 9, failAfter: 4 })) numbers.push(number);
        })(),
      );
      assert.deepEqual(codeAndReason(fault), [Code.DataLoss, 'count_lost']);
      assert.deepEqual(numbers, [1n, 2n, 3n, 4n]);
    });

    test('a slow reader holds the producer back', async (t) => {
      const { client, seen } = await start(t);
      const packets = client.count({ count: 5000, size: 16 * 1024 })[Symbol.asyncIterator]();
      for (let read = 0; read < 3; read++) await packets.next();
      let before = -1;
      // Still when it has produced nothing for a while; there is no event for that.
      await until(async () => {
        if (before === seen.produced) return true;
        before = seen.produced;
        await new Promise((resolve) => setTimeout(resolve, 100));
        return false;
      });
      assert.ok(seen.produced <= 3 + transport.aheadMax, `${seen.produced} packets were produced for a reader of 3`);
      for (let read = 0; read < 500; read++) await packets.next();
      assert.ok(seen.produced >= 503 && seen.produced <= 503 + transport.aheadMax);
      await packets.return?.(undefined);
      await until(() => seen.left === 1);
    });

    test('leaving a stream early ends it at the producer', async (t) => {
      const { client, seen } = await start(t);
      for await (const { number } of client.count({ count: 1_000_000 })) if (number === 3n) break;
      await until(() => seen.left === 1);
      assert.ok(seen.produced < 10_000);
      for await (const { number } of client.count({ count: 9, waitAfter: 3 })) if (number === 3n) break;
      await until(() => seen.left === 2);
    });

    test('a client stream is summed, and may be answered before its end', async (t) => {
      const { client } = await start(t);
      const requests = Array.from({ length: 1000 }, (_, index) => ({ number: BigInt(index) }));
      assert.equal((await client.sum(from(requests))).number, 499_500n);
      assert.equal((await client.sum(from([]))).number, 0n);
      let isLeft = false;
      async function* endless() {
        try {
          for (let number = 1n; ; number++) yield { number, name: number === 4n ? 'stop' : '' };
        } finally {
          isLeft = true;
        }
      }
      assert.equal((await client.sum(endless())).number, 10n);
      await until(() => isLeft);
    });

    test('a client stream is not read further than its server does', async (t) => {
      const { client, seen } = await start(t);
      let sent = 0;
      async function* endless() {
        for (;;) {
          sent++;
          yield { name: 'x', data: new Uint8Array(16 * 1024) };
        }
      }
      // Answers are not read, so the server stops reading requests.
      const answers = client.chat(endless())[Symbol.asyncIterator]();
      await answers.next();
      let before = -1;
      await until(async () => {
        if (before === sent) return true;
        before = sent;
        await new Promise((resolve) => setTimeout(resolve, 100));
        return false;
      });
      assert.ok(sent < 3000, `${sent} requests were sent`);
      await answers.return?.(undefined);
      assert.equal(seen.waiting, 0);
    });

    test('a failing client stream fails the call', async (t) => {
      const { client } = await start(t);
      async function* broken() {
        yield { number: 1n };
        throw new Fault('data_loss', 'The source broke');
      }
      assert.equal((await faultOf(client.sum(broken()))).message, 'The source broke');
      assert.equal((await faultOf(last(client.chat(broken())))).message, 'The source broke');
      assert.equal((await client.echo({ number: 5n })).number, 5n);
    });

    test('cancelling a call that waits for its client stream ends it at both ends', async (t) => {
      const { client, seen } = await start(t);
      const controller = new AbortController();
      const hanging = Promise.withResolvers<void>();
      t.after(() => hanging.resolve());
      async function* requests() {
        yield { number: 1n };
        await hanging.promise;
      }
      const answers = client.chat(requests(), { signal: controller.signal })[Symbol.asyncIterator]();
      assert.equal((await answers.next()).value?.number, 1n);
      const next = faultOf(answers.next());
      controller.abort();
      assert.equal((await next).code, Code.Canceled);
      await until(() => seen.left === 1);
    });

    test('a client stream that is cancelled is never taken for a whole one', async (t) => {
      const { client, seen } = await start(t);
      const controller = new AbortController();
      const hanging = Promise.withResolvers<void>();
      t.after(() => hanging.resolve());
      async function* requests() {
        yield { number: 1n };
        await hanging.promise;
      }
      const summed = faultOf(client.sum(requests(), { signal: controller.signal }));
      await until(() => seen.waiting === 1);
      controller.abort();
      assert.equal((await summed).code, Code.Canceled);
      await until(() => seen.left === 1);
    });

    test('both ways at once, answer by answer', async (t) => {
      const { client } = await start(t);
      const heard: string[] = [];
      const answered = Promise.withResolvers<void>();
      async function* requests() {
        yield { number: 1n };
        // Only after the first answer: neither side waits for the end of the other.
        await answered.promise;
        yield { number: 2n, name: 'twice' };
        yield { number: 3n };
      }
      for await (const { name, number } of client.chat(requests())) {
        heard.push(`${name} ${number}`);
        answered.resolve();
      }
      assert.deepEqual(heard, ['got 1', 'got 2', 'again 2', 'got 3']);
    });

    test('caller, scopes, trace, deadline and idempotency key are what was sent, in a nested call too', async (t) => {
      const { channel } = await start(t);
      const trace = Trace.parse('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
      const method = methodOf(readContract(Conformance), 'describe');
      const answer = (await channel.unary(method, create(method.input, { depth: 2 } as MessageInitShape<DescMessage>), {
        caller: user,
        timeoutMs: 5000,
        signal: undefined,
        trace,
        idempotencyKey: 'key-ü',
        service: conformanceService,
      })) as MessageShape<(typeof Conformance)['method']['describe']['output']>;
      const first = answer;
      assert.deepEqual(
        [first.callerId, first.callerName, first.roles, first.scopes, first.via, first.traceId, first.idempotencyKey],
        [user.id, user.name, user.roles, user.scopes, '', trace.traceId, 'key-ü'],
      );
      assert.ok(first.timeLeftMs !== undefined && first.timeLeftMs > 4000 && first.timeLeftMs <= 5001);
      const second = first.nested;
      const third = second?.nested;
      for (const nested of [second, third]) {
        assert.ok(nested);
        assert.deepEqual(
          [nested.callerId, nested.callerName, nested.roles, nested.scopes, nested.via, nested.traceId, nested.idempotencyKey],
          [user.id, user.name, user.roles, user.scopes, conformanceService, trace.traceId, ''],
        );
        assert.ok(nested.timeLeftMs !== undefined && nested.timeLeftMs > 4000 && nested.timeLeftMs <= 5001);
      }
    });

    test('a service that stops finishes what it began and refuses the rest', async (t) => {
      const { client, dispatcher, seen } = await start(t);
      const patience = new AbortController();
      const slow = new AbortController();
      const begun = client.wait({ heedsSignal: true, name: 'slow' }, { signal: slow.signal }).catch(() => 'ended');
      await until(() => seen.waiting === 1);
      const drained = dispatcher.drain(patience.signal);
      assert.deepEqual(codeAndReason(await faultOf(client.echo({}))), [Code.Unavailable, 'stopping']);
      assert.deepEqual(codeAndReason(await faultOf(last(client.count({ count: 1 })))), [Code.Unavailable, 'stopping']);
      slow.abort();
      assert.equal(await begun, 'ended');
      await drained;
    });

    test('a closed channel refuses calls and ends those under way', async (t) => {
      if (!transport.startPeer) return t.skip('a direct channel has nothing to close');
      const { client, channel, seen } = await start(t);
      const waiting = faultOf(client.wait({ heedsSignal: true, name: 'open' }));
      await until(() => seen.waiting === 1);
      await channel.close();
      assert.equal((await waiting).code, Code.Unavailable);
      assert.equal((await faultOf(client.echo({}))).code, Code.Unavailable);
      await until(() => seen.aborted.includes('open:canceled'));
    });

    test('a killed peer ends its calls at once; the same channel works when it is back', { timeout: 30_000 }, async (t) => {
      if (!transport.startPeer) return t.skip('direct calls leave no process');
      const peer = await transport.startPeer(t);
      const client = createClient(Conformance, {
        route: () => ({ channel: peer.channel, service: conformanceService }),
        caller: serviceCaller('cellar.grpc.testing.client'),
      });
      assert.equal((await client.echo({ number: 1n })).number, 1n);
      const counting = client.count({ count: 3, waitAfter: 1 })[Symbol.asyncIterator]();
      await counting.next();
      const underWay = [faultOf(client.wait({ name: 'unary' })), faultOf(counting.next())];
      // The peer has the call when it answers one that was sent after it.
      await client.echo({});
      await peer.kill();
      const startMs = performance.now();
      for (const fault of await Promise.all(underWay)) assert.equal(fault.code, Code.Unavailable);
      assert.equal((await faultOf(client.echo({}))).code, Code.Unavailable);
      assert.ok(performance.now() - startMs < 1500, `took ${performance.now() - startMs} ms`);
      await peer.restart();
      const backMs = performance.now();
      await until(() =>
        client.echo({ number: 2n }).then(
          ({ number }) => number === 2n,
          () => false,
        ),
      );
      assert.ok(performance.now() - backMs < 3000, `took ${performance.now() - backMs} ms to come back`);
    });
  });
}

function packetOf(init: MessageInitShape<typeof PacketSchema>): MessageShape<typeof PacketSchema> {
  return create(PacketSchema, init);
}

async function faultOf(call: Promise<unknown>): Promise<Fault> {
  const error = await call.then(
    () => assert.fail('the call succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, `not a fault: ${String(error)}`);
  return error;
}

function codeAndReason(fault: Fault): [Code, string] {
  return [fault.code, fault.reason];
}

async function* from<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(messages);
}

async function last<T>(messages: AsyncIterable<T>): Promise<T | undefined> {
  return (await all(messages)).at(-1);
}
