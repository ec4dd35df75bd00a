import {
  createRegistry,
  type DescFile,
  type DescMessage,
  type DescService,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { invalidArgument } from '../fault.ts';

/** Reads a parsed JSON value into a message. Errors: `invalid_argument` that names the field. */
export type ReadJson = (json: unknown) => Message;
/** Writes a message as JSON text. */
export type WriteJson = (message: Message) => string;

export function compileReadJson(desc: DescMessage, registry: Registry): ReadJson {
  return (json) => {
    try {
      return fromJson(desc, json as JsonValue, { registry });
    } catch (error) {
      throw invalidArgument(`The body is not a ${desc.name}: ${(error as Error).message}`, { reason: 'invalid_body' });
    }
  };
}

export function compileWriteJson(desc: DescMessage, registry: Registry): WriteJson {
  return (message) => JSON.stringify(toJson(desc, message, { registry }));
}

/** Every type that the contracts' files know: those may be in a `google.protobuf.Any`. */
export function registryOf(contracts: readonly DescService[]): Registry {
  const files = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const { file } of contracts) add(file);
  return createRegistry(...files);
}
