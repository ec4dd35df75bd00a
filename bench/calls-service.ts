import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Role } from '../src/gen/cellar/kernel/v1/options_pb.ts';
import { Conformance, type Packet, PacketSchema } from '../src/gen/cellar/testing/v1/conformance_pb.ts';
import type { Caller } from '../src/kernel/calls/caller.ts';
import { Dispatcher, implement } from '../src/kernel/calls/dispatcher.ts';
import type { Endpoint } from '../src/kernel/calls/endpoint.ts';
import { silentLog } from '../src/kernel/log.ts';

export const benchService = 'cellar.grpc.bench';

/** A signed-in person: caller, roles and scopes are checked at every call. */
export const benchCaller: Caller = { id: 'u-1', name: 'ann', roles: [Role.USER], scopes: ['testing:*'], via: '' };

/** About 200 bytes, with every kind of field. */
export function smallPacket(): Packet {
  return create(PacketSchema, {
    name: 'a'.repeat(60),
    number: 1_234_567_890_123n,
    data: new Uint8Array(64),
    time: timestampFromMs(1_700_000_000_123),
    tags: ['one', 'two', 'three'],
    labels: { colour: 'blue', size: 'large' },
  });
}

/** The service behind all the kernel's checks, every call observed. */
export function addBenchService(endpoint: Endpoint): { readonly observed: () => number } {
  let calls = 0;
  let busyMs = 0;
  const never = (): never => {
    throw new Error('not part of the benchmark');
  };
  const binding = implement(Conformance, {
    echo: (request) => request,
    fail: never,
    adminOnly: never,
    wait: never,
    describe: never,
    async *count({ count, size }) {
      const data = new Uint8Array(size);
      for (let number = 1n; number <= count; number++) yield { number, data };
    },
    sum: never,
    chat: never,
  });
  const observe = ({ durationMs }: { readonly durationMs: number }): void => {
    calls++;
    busyMs += durationMs;
  };
  endpoint.add(new Dispatcher([binding], { service: benchService, log: silentLog, observe }));
  return { observed: () => (busyMs >= 0 ? calls : 0) };
}
