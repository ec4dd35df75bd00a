import { type DescEnum, type DescField, type DescMessage, getOption, hasOption, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { type FieldRules, field as fieldOption } from '#gen/buf/validate/validate_pb.ts';
import { wholeBounds } from './field-text.ts';

/** A JSON Schema, draft 2020-12, as OpenAPI 3.1 has it. */
export type Schema = Readonly<Record<string, unknown>>;

/** What people wrote beside a contract's things, by full name; `src/gen/comments.json`. */
export type Comments = Readonly<Record<string, string>>;

/** Messages with a JSON form of their own. Source: Protobuf JSON mapping. */
const wellKnown: Readonly<Record<string, Schema>> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time', examples: ['2026-11-20T12:00:00Z'] },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?\\d+(\\.\\d{1,9})?s$', examples: ['3.5s'] },
  'google.protobuf.FieldMask': { type: 'string', examples: ['displayName,roles'] },
  'google.protobuf.Struct': { type: 'object' },
  'google.protobuf.Value': {},
  'google.protobuf.ListValue': { type: 'array' },
  'google.protobuf.Empty': { type: 'object' },
  'google.protobuf.Any': { type: 'object', properties: { '@type': { type: 'string' } }, required: ['@type'] },
  'google.protobuf.BoolValue': { type: ['boolean', 'null'] },
  'google.protobuf.StringValue': { type: ['string', 'null'] },
  'google.protobuf.BytesValue': { type: ['string', 'null'], contentEncoding: 'base64' },
  'google.protobuf.DoubleValue': { type: ['number', 'null'] },
  'google.protobuf.FloatValue': { type: ['number', 'null'] },
  'google.protobuf.Int32Value': { type: ['integer', 'null'] },
  'google.protobuf.UInt32Value': { type: ['integer', 'null'] },
  'google.protobuf.Int64Value': { type: ['string', 'null'] },
  'google.protobuf.UInt64Value': { type: ['string', 'null'] },
};

/** Collects the schemas of messages and enums that a document refers to, each once, by short names where those are free. */
export class Schemas {
  readonly #comments: Comments;
  readonly #names = new Map<string, string>();
  readonly components: Record<string, Schema> = {};

  constructor(comments: Comments) {
    this.#comments = comments;
  }

  message(desc: DescMessage): Schema {
    const known = wellKnown[desc.typeName];
    if (known) return known;
    return this.#refer(desc, () => this.object(desc, desc.fields));
  }

  /** An object of some of a message's fields, written out in place. */
  object(desc: DescMessage, fields: readonly DescField[]): Schema {
    const required = fields.filter(isRequired).map((field) => field.jsonName);
    return {
      type: 'object',
      ...this.#described(desc.typeName),
      properties: Object.fromEntries(fields.map((field) => [field.jsonName, this.field(field)])),
      ...(required.length > 0 ? { required } : {}),
    };
  }

  field(field: DescField): Schema {
    const rules = rulesOf(field);
    const notes = [this.#comments[`${field.parent.typeName}.${field.name}`], choiceNote(field)].filter(Boolean);
    return { ...this.#value(field, rules), ...(notes.length > 0 ? { description: notes.join('\n\n') } : {}) };
  }

  /** True when the field can be written as text, and so be a query parameter. */
  isPlain(field: DescField): boolean {
    if (field.fieldKind === 'map') return false;
    if (!field.message) return true;
    return (
      wellKnown[field.message.typeName]?.['type'] !== undefined && !/Struct|ListValue|Empty|Any$/.test(field.message.typeName)
    );
  }

  #value(field: DescField, rules: FieldRules | undefined): Schema {
    if (field.fieldKind === 'map') {
      return { type: 'object', additionalProperties: this.#single(field.mapKind === 'scalar' ? field.scalar : undefined, field) };
    }
    const list = field.fieldKind === 'list' && rules?.type.case === 'repeated' ? rules.type.value : undefined;
    const single = { ...this.#single(field.scalar, field), ...keywords(field.fieldKind === 'list' ? list?.items : rules, field) };
    if (field.fieldKind !== 'list') return single;
    return {
      type: 'array',
      items: single,
      ...(list?.minItems ? { minItems: Number(list.minItems) } : {}),
      ...(list?.maxItems ? { maxItems: Number(list.maxItems) } : {}),
    };
  }

  #single(scalar: ScalarType | undefined, { message, enum: descEnum }: DescField): Schema {
    if (message) return this.message(message);
    if (descEnum) return this.#refer(descEnum, () => this.#enumeration(descEnum));
    return scalarSchema(scalar ?? ScalarType.STRING);
  }

  #enumeration(desc: DescEnum): Schema {
    const lines = desc.values.map(({ name }) => {
      const meaning = this.#comments[`${desc.typeName}.${name}`];
      return meaning ? `- \`${name}\`: ${meaning}` : `- \`${name}\``;
    });
    const meaning = this.#comments[desc.typeName];
    return {
      type: 'string',
      enum: desc.values.map(({ name }) => name),
      description: [meaning, lines.join('\n')].filter(Boolean).join('\n\n'),
    };
  }

  #refer(desc: DescMessage | DescEnum, make: () => Schema): Schema {
    let name = this.#names.get(desc.typeName);
    if (name === undefined) {
      const short = desc.typeName.slice(desc.file.proto.package.length + 1);
      name = short in this.components ? desc.typeName : short;
      this.#names.set(desc.typeName, name);
      // Entered before it is made: messages may contain themselves.
      this.components[name] = {};
      this.components[name] = make();
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  #described(name: string): Schema {
    const text = this.#comments[name];
    return text ? { description: text } : {};
  }
}

function scalarSchema(scalar: ScalarType): Schema {
  switch (scalar) {
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.BYTES:
      return { type: 'string', contentEncoding: 'base64' };
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return { type: 'number', format: scalar === ScalarType.FLOAT ? 'float' : 'double' };
    default: {
      const { min, max, isBig } = wholeBounds(scalar);
      // 64 bits do not fit in a JSON number: they are text.
      if (isBig) return { type: 'string', format: min === 0n ? 'uint64' : 'int64', pattern: min === 0n ? '^\\d+$' : '^-?\\d+$' };
      return { type: 'integer', format: min === 0n ? 'uint32' : 'int32', minimum: Number(min), maximum: Number(max) };
    }
  }
}

/** Rules of `buf.validate` as keywords. */
function keywords(rules: FieldRules | undefined, field: DescField): Schema {
  const type = rules?.type;
  switch (type?.case) {
    case 'string': {
      const { minLen, maxLen, maxBytes, pattern, in: allowed } = type.value;
      const max = maxLen || maxBytes;
      return {
        ...(minLen ? { minLength: Number(minLen) } : {}),
        ...(max ? { maxLength: Number(max) } : {}),
        ...(pattern ? { pattern } : {}),
        ...(allowed.length > 0 ? { enum: allowed } : {}),
      };
    }
    case 'uint32':
    case 'int32':
      return bounds(type.value.greaterThan, type.value.lessThan);
    case 'enum': {
      const names = type.value.in.map((number) => field.enum?.value[number]?.name ?? number);
      return names.length > 0 ? { enum: names } : {};
    }
    default:
      return {};
  }
}

interface Bound {
  readonly case: string | undefined;
  readonly value?: number | undefined;
}

function bounds(lower: Bound, upper: Bound): Schema {
  return {
    ...(lower.case === 'gte' ? { minimum: lower.value } : lower.case === 'gt' ? { exclusiveMinimum: lower.value } : {}),
    ...(upper.case === 'lte' ? { maximum: upper.value } : upper.case === 'lt' ? { exclusiveMaximum: upper.value } : {}),
  };
}

function choiceNote({ oneof }: DescField): string | undefined {
  return oneof && `At most one of ${oneof.fields.map((field) => `\`${field.jsonName}\``).join(', ')}.`;
}

/** A text that may not be empty has to be sent, whether the contract says so in one word or the other. */
function isRequired(field: DescField): boolean {
  const rules = rulesOf(field);
  const isImplicit = field.presence === FeatureSet_FieldPresence.IMPLICIT;
  return rules?.required === true || (isImplicit && rules?.type.case === 'string' && rules.type.value.minLen > 0n);
}

function rulesOf(field: DescField): FieldRules | undefined {
  return hasOption(field, fieldOption) ? getOption(field, fieldOption) : undefined;
}
