import { type DescMessage, fromJson, type JsonValue, type Message, type Registry, toJson } from '@bufbuild/protobuf';
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
