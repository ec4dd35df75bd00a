/** The other process of the calls benchmark: `node calls-server.ts cellar|grpc-js PATH`. Says `ready`. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, type UntypedHandleCall } from '@grpc/grpc-js';
import { Conformance, type Packet, PacketSchema } from '../src/gen/cellar/testing/v1/conformance_pb.ts';
import { Endpoint } from '../src/kernel/calls/endpoint.ts';
import { serveLocal } from '../src/kernel/transports/local/server.ts';
import { addBenchService } from './calls-service.ts';

const [kind, path = ''] = process.argv.slice(2);
if (kind === 'cellar') {
  const endpoint = new Endpoint();
  addBenchService(endpoint);
  await serveLocal(endpoint, { path });
} else {
  const server = new Server();
  const echo = (call: ServerUnaryCall<Packet, Packet>, answer: sendUnaryData<Packet>): void => answer(null, call.request);
  const encode = (packet: Packet): Buffer => Buffer.from(toBinary(PacketSchema, packet));
  server.register(
    `/${Conformance.typeName}/Echo`,
    echo as UntypedHandleCall,
    encode,
    (bytes: Buffer) => fromBinary(PacketSchema, bytes),
    'unary',
  );
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
  );
}
process.stdout.write('ready\n');
