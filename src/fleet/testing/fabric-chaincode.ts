import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';

/** A chaincode that peers dial, which keeps values by keys: `put KEY VALUE` and `get KEY`. */
export interface FabricChaincode extends AsyncDisposable {
  /** Where it listens, `host:port`; goes into its package. */
  readonly address: string;
  /** What the peers call the package, once it is made: they listen to nobody else. */
  packageId: string;
}

/** Of the protocol between peers and chaincode, what this needs; numbers as in `chaincode_shim.proto` of Fabric. */
const kinds = { register: 1, ready: 4, transaction: 5, completed: 6, error: 7, get: 8, put: 9, response: 13, keepAlive: 18 };

interface Message {
  readonly kind: number;
  readonly payload: Uint8Array;
  readonly transaction: string;
  readonly channel: string;
}

type Stream = ServerDuplexStream<Message, Message>;

const service = {
  connect: {
    ...{ path: '/protos.Chaincode/Connect', requestStream: true, responseStream: true },
    ...{ requestSerialize: encode, requestDeserialize: decode, responseSerialize: encode, responseDeserialize: decode },
  },
} satisfies ServiceDefinition;

/** `host` is one of this machine's addresses that the peers reach. */
export async function startFabricChaincode(host: string): Promise<FabricChaincode> {
  const server = new Server();
  const chaincode = { packageId: '' };
  server.addService(service, { connect: (stream: Stream) => serve(stream, chaincode.packageId) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:0`, ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return Object.assign(chaincode, {
    address: `${host}:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  });
}

/** One peer's connection. Each transaction asks the peer at most one thing, and is done with its answer. */
function serve(stream: Stream, packageId: string): void {
  const open = new Map<string, string>();
  const keyOf = ({ channel, transaction }: Message): string => `${channel}/${transaction}`;
  const answer = (message: Message, kind: number, payload: Uint8Array): void => void stream.write({ ...message, kind, payload });
  stream.on('data', (message: Message) => {
    if (message.kind === kinds.keepAlive) return answer(message, kinds.keepAlive, message.payload);
    if (message.kind === kinds.transaction) {
      const [verb = '', key = '', value = ''] = textsIn(message.payload);
      open.set(keyOf(message), verb);
      if (verb === 'get') return answer(message, kinds.get, textFields(key));
      if (verb === 'put') return answer(message, kinds.put, textFields(key, value));
      return answer(message, kinds.error, Buffer.from(`It knows put and get, not "${verb}"`));
    }
    if (message.kind === kinds.error) return answer(message, kinds.error, message.payload);
    if (message.kind !== kinds.response || !open.delete(keyOf(message))) return;
    const response = new BinaryWriter().uint32(tag(1, WireType.Varint)).int32(200);
    return answer(message, kinds.completed, response.uint32(tag(3)).bytes(message.payload).finish());
  });
  stream.on('end', () => stream.end());
  const id = new BinaryWriter().uint32(tag(2)).string(packageId).finish();
  stream.write({ kind: kinds.register, payload: id, transaction: '', channel: '' });
}

const tag = (field: number, type: WireType = WireType.LengthDelimited): number => (field << 3) | type;

/** The first fields of a message, all of them texts. */
function textFields(...texts: readonly string[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [at, text] of texts.entries()) writer.uint32(tag(at + 1)).string(text);
  return writer.finish();
}

/** What is repeated in a message's first field. */
function textsIn(bytes: Uint8Array): readonly string[] {
  const reader = new BinaryReader(bytes);
  const texts: string[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) texts.push(reader.string());
    else reader.skip(type);
  }
  return texts;
}

function encode({ kind, payload, transaction, channel }: Message): Buffer {
  const writer = new BinaryWriter().uint32(tag(1, WireType.Varint)).int32(kind).uint32(tag(3)).bytes(payload);
  return Buffer.from(writer.uint32(tag(4)).string(transaction).uint32(tag(7)).string(channel).finish());
}

function decode(bytes: Buffer): Message {
  const reader = new BinaryReader(bytes);
  const found = { kind: 0, payload: new Uint8Array() as Uint8Array, transaction: '', channel: '' };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) found.kind = reader.int32();
    else if (field === 3) found.payload = reader.bytes();
    else if (field === 4) found.transaction = reader.string();
    else if (field === 7) found.channel = reader.string();
    else reader.skip(type);
  }
  return found;
}
