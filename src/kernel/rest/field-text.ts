import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  isFieldSet,
  type JsonValue,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '../fault.ts';

/** Puts a text of a URL into a message. Errors: `invalid_argument` that names the field, the text and what is allowed. */
export type SetText = (message: Message, text: string) => void;

type Fields = Record<string, unknown>;

/** The fields along a dotted path of proto or JSON names, such as `policy.id`; undefined when there is no such field. */
export function fieldsAt(desc: DescMessage, path: string): DescField[] | undefined {
  const fields: DescField[] = [];
  let scope: DescMessage | undefined = desc;
  for (const part of path.split('.')) {
    const field: DescField | undefined = scope?.fields.find((one) => one.name === part || one.jsonName === part);
    if (!field) return undefined;
    fields.push(field);
    scope = field.fieldKind === 'message' ? field.message : undefined;
  }
  return fields;
}

/** Undefined when the last field cannot be written as text: a map, a message without a text form, a list of such. */
export function textSetter(fields: readonly DescField[]): SetText | undefined {
  const field = fields.at(-1);
  const parse = field && textParser(field, fields.map((one) => one.name).join('.'));
  if (!field || !parse) return undefined;
  const parents = fields.slice(0, -1);
  const isList = field.fieldKind === 'list';
  return (message, text) => {
    let scope = message;
    for (const parent of parents) scope = childOf(scope, parent);
    const value = parse(text);
    if (isList) ((scope as unknown as Fields)[field.localName] as unknown[]).push(value);
    else setField(scope, field, value);
  };
}

/** The text that `textSetter` reads back into the field. */
export function readText(message: Message, fields: readonly DescField[]): string {
  let scope: Message = message;
  for (const field of fields) {
    const isSet = isFieldSet(scope, field);
    const value = isSet || field.fieldKind !== 'message' ? getField(scope, field) : undefined;
    if (field.fieldKind === 'message') {
      if (!value) return '';
      scope = value as Message;
    } else if (field.fieldKind === 'enum') {
      return field.enum.value[value as number]?.name ?? String(value);
    } else {
      return value === undefined ? '' : String(value);
    }
  }
  return '';
}

export function getField(message: Message, field: DescField): unknown {
  if (!field.oneof) return (message as unknown as Fields)[field.localName];
  const chosen = (message as unknown as Fields)[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

export function setField(message: Message, field: DescField, value: unknown): void {
  if (field.oneof) (message as unknown as Fields)[field.oneof.localName] = { case: field.localName, value };
  else (message as unknown as Fields)[field.localName] = value;
}

function childOf(message: Message, field: DescField): Message {
  const known = getField(message, field);
  if (known) return known as Message;
  const child = create((field as DescField & { fieldKind: 'message' }).message);
  setField(message, field, child);
  return child;
}

function textParser(field: DescField, name: string): ((text: string) => unknown) | undefined {
  const kind = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  if (kind === 'enum') return enumParser(field.enum as DescEnum, name);
  if (kind === 'scalar') return scalarParser(field.scalar as ScalarType, name);
  // A wrapper such as Int64Value is held as its bare value where it is a field of its own.
  const isBare = field.fieldKind === 'message' && !field.oneof;
  if (kind === 'message') return messageParser(field.message as DescMessage, name, isBare);
  return undefined;
}

function enumParser(desc: DescEnum, name: string): (text: string) => number {
  const byText = new Map(
    desc.values.flatMap((value) => [[value.name, value.number] as const, [String(value.number), value.number]]),
  );
  const allowed = `one of ${desc.values.map((value) => value.name).join(', ')}`;
  return (text) => byText.get(text) ?? refuse(name, text, allowed);
}

function scalarParser(scalar: ScalarType, name: string): (text: string) => unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return (text) => text;
    case ScalarType.BOOL:
      return (text) => (text === 'true' ? true : text === 'false' ? false : refuse(name, text, 'true or false'));
    case ScalarType.BYTES:
      return (text) => {
        try {
          return base64Decode(text);
        } catch {
          return refuse(name, text, 'base64');
        }
      };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return (text) => {
        if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return Number(text);
        const number = Number(text);
        const limit = scalar === ScalarType.FLOAT ? 3.4028234663852886e38 : Number.MAX_VALUE;
        return text.trim() === text && text !== '' && Math.abs(number) <= limit ? number : refuse(name, text, 'a number');
      };
    default: {
      const { min, max, isBig } = wholeBounds(scalar);
      return (text) => {
        const number = /^-?\d{1,20}$/.test(text) ? BigInt(text) : undefined;
        if (number === undefined || number < min || number > max)
          return refuse(name, text, `a whole number from ${min} to ${max}`);
        return isBig ? number : Number(number);
      };
    }
  }
}

/** The range of a whole-number type, and whether its values are bigints. */
export function wholeBounds(scalar: ScalarType): { min: bigint; max: bigint; isBig: boolean } {
  switch (scalar) {
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { min: 0n, max: 0xffff_ffffn, isBig: false };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { min: 0n, max: 0xffff_ffff_ffff_ffffn, isBig: true };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { min: -0x8000_0000_0000_0000n, max: 0x7fff_ffff_ffff_ffffn, isBig: true };
    default:
      return { min: -0x8000_0000n, max: 0x7fff_ffffn, isBig: false };
  }
}

/** Messages whose JSON is a plain value, and an example of it. Source: Protobuf JSON mapping. */
const textForms: Readonly<Record<string, string>> = {
  'google.protobuf.Timestamp': 'a time such as 2026-11-20T12:00:00Z',
  'google.protobuf.Duration': 'a duration such as 3.5s',
  'google.protobuf.FieldMask': 'field names such as displayName,roles',
};

function messageParser(desc: DescMessage, name: string, isBare: boolean): ((text: string) => unknown) | undefined {
  if (isWrapperDesc(desc)) {
    const parse = scalarParser((desc.fields[0] as DescField & { fieldKind: 'scalar' }).scalar, name);
    return isBare ? parse : (text) => create(desc, { value: parse(text) } as never);
  }
  const form = textForms[desc.typeName];
  if (!form) return undefined;
  return (text) => {
    // Both spellings of field names are taken, as in JSON bodies.
    const json: JsonValue = desc.typeName.endsWith('FieldMask')
      ? text.replace(/_([a-z])/g, (_, char: string) => char.toUpperCase())
      : text;
    try {
      return fromJson(desc, json);
    } catch {
      return refuse(name, text, form);
    }
  };
}

function refuse(name: string, text: string, allowed: string): never {
  const shown = text.length > 100 ? `${text.slice(0, 100)}…` : text;
  const message = `must be ${allowed}, not "${shown}"`;
  throw invalidArgument(`${name} ${message}`, { reason: 'invalid_parameter', violations: [{ field: name, message }] });
}
