import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { file_grpc_health_v1_health, Health } from '#gen/grpc/health/v1/health_pb.ts';
import {
  file_grpc_reflection_v1_reflection,
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '#gen/grpc/reflection/v1/reflection_pb.ts';
import type { Endpoint } from '../../calls/endpoint.ts';

const alphaFile = renamed(file_grpc_reflection_v1_reflection, 'v1', 'v1alpha');
const alphaName = 'grpc.reflection.v1alpha.ServerReflection';

/**
 * The standard reflection service, so that a client in another language needs no contract at hand; both of its versions, whose
 * messages are the same. Source: grpc/grpc, doc/server-reflection.md.
 */
export function addReflection(server: Server, endpoint: Endpoint): void {
  for (const name of [ServerReflection.typeName, alphaName]) {
    server.register(
      `/${name}/ServerReflectionInfo`,
      (call: ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>) => {
        call.on('data', (request: ServerReflectionRequest) => {
          const response = answer(endpoint, request);
          call.write(
            create(ServerReflectionResponseSchema, {
              validHost: request.host,
              originalRequest: request,
              messageResponse: response,
            }),
          );
        });
        call.on('end', () => call.end());
      },
      (message: ServerReflectionResponse) => Buffer.from(toBinary(ServerReflectionResponseSchema, message)),
      (bytes: Buffer) => fromBinary(ServerReflectionRequestSchema, bytes),
      'bidi',
    );
  }
}

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

function answer(endpoint: Endpoint, { messageRequest: wanted }: ServerReflectionRequest): Answer {
  switch (wanted.case) {
    case 'listServices': {
      const names = [...endpoint.contracts.map(({ name }) => name), Health.typeName, ServerReflection.typeName, alphaName];
      return { case: 'listServicesResponse', value: { service: names.toSorted().map((name) => ({ name })) } };
    }
    case 'fileByFilename':
      return files(filesOf(endpoint).get(wanted.value), wanted.value);
    case 'fileContainingSymbol':
      return files(findSymbol(endpoint, wanted.value), wanted.value);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = wanted.value;
      const file = find(endpoint, ({ extensions }) =>
        extensions.some(({ extendee, number }) => extendee.typeName === containingType && number === extensionNumber),
      );
      return files(file, `${containingType} ${extensionNumber}`);
    }
    case 'allExtensionNumbersOfType': {
      const extensions = [...filesOf(endpoint).values()].flatMap((file) => file.extensions);
      const extensionNumber = extensions.filter(({ extendee }) => extendee.typeName === wanted.value).map(({ number }) => number);
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName: wanted.value, extensionNumber } };
    }
    case undefined:
      return {
        case: 'errorResponse',
        value: { errorCode: status.INVALID_ARGUMENT, errorMessage: 'The request asks for nothing' },
      };
  }
}

/** The file and all it imports, imported ones after it. */
function files(file: DescFile | undefined, what: string): Answer {
  if (!file) return { case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage: `${what} is not known here` } };
  const fileDescriptorProto = [...withImports([file]).values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function findSymbol(endpoint: Endpoint, symbol: string): DescFile | undefined {
  return find(endpoint, (file) => {
    if (
      file.services.some(
        ({ typeName, methods }) => typeName === symbol || methods.some(({ name }) => `${typeName}.${name}` === symbol),
      )
    )
      return true;
    if (file.enums.some(({ typeName }) => typeName === symbol) || file.extensions.some(({ typeName }) => typeName === symbol))
      return true;
    return file.messages.some((message) => holds(message, symbol));
  });
}

function holds(message: DescMessage, symbol: string): boolean {
  if (message.typeName === symbol) return true;
  if (!symbol.startsWith(`${message.typeName}.`)) return false;
  return (
    message.fields.some(({ name }) => `${message.typeName}.${name}` === symbol) ||
    message.nestedEnums.some(({ typeName }) => typeName === symbol) ||
    message.nestedMessages.some((nested) => holds(nested, symbol))
  );
}

function find(endpoint: Endpoint, isWanted: (file: DescFile) => boolean): DescFile | undefined {
  return [...filesOf(endpoint).values()].find(isWanted);
}

function filesOf(endpoint: Endpoint): Map<string, DescFile> {
  return withImports([
    ...endpoint.contracts.map(({ desc }) => desc.file),
    file_grpc_health_v1_health,
    file_grpc_reflection_v1_reflection,
    alphaFile,
  ]);
}

function withImports(roots: readonly DescFile[], found = new Map<string, DescFile>()): Map<string, DescFile> {
  for (const file of roots) {
    if (found.has(file.proto.name)) continue;
    found.set(file.proto.name, file);
    withImports(file.dependencies, found);
  }
  return found;
}

/** The same file in another package: a published service whose versions differ in name only. */
function renamed(file: DescFile, from: string, to: string): DescFile {
  const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
  const proto = fromBinary(FileDescriptorProtoSchema, bytes);
  const old = `${proto.package}.`;
  proto.package = proto.package.replace(from, to);
  proto.name = proto.name.replace(`/${from}/`, `/${to}/`);
  const move = (name: string): string => name.replace(`.${old}`, `.${proto.package}.`);
  for (const message of proto.messageType) for (const field of message.field) field.typeName = move(field.typeName);
  for (const service of proto.service) {
    for (const method of service.method) {
      method.inputType = move(method.inputType);
      method.outputType = move(method.outputType);
    }
  }
  const made = createFileRegistry(proto, () => undefined).getFile(proto.name);
  if (!made) throw new Error(`Cannot rename ${file.proto.name}`);
  return made;
}
