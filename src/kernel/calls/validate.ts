import { type DescField, type DescMessage, getOption, hasOption, isFieldSet, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Duration, FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import {
  type FieldRules,
  field as fieldOption,
  message as messageOption,
  oneof as oneofOption,
  file_buf_validate_validate as rulesFile,
} from '#gen/buf/validate/validate_pb.ts';
import type { Violation } from '../fault.ts';

/** Checks a message against the rules in its contract; returns the rules it breaks, none when it is valid. */
export type Validate = (message: Message) => readonly Violation[];

/** One check of one value: the sentence that says what is wrong, or undefined. */
type Check = (value: unknown) => string | undefined;

interface FieldCheck {
  readonly name: string;
  readonly run: (message: Message, path: string, out: Violation[]) => void;
}

const none: readonly Violation[] = [];
const compiled = new Map<DescMessage, { checks: FieldCheck[] }>();

/**
 * Compiles the `buf.validate` rules of a message once, so that checking costs a few comparisons.
 *
 * It knows the rules our contracts use; any other stops the start instead of being skipped. The public library does all of
 * them but adds some 35 MB to every process (docs/adr/0002-contracts.md); tests use it as the judge of this one.
 * Source: buf.validate, validate.proto.
 */
export function compileValidator(desc: DescMessage): Validate {
  const { checks } = compile(desc);
  return (message) => {
    if (checks.length === 0) return none;
    const out: Violation[] = [];
    for (const check of checks) check.run(message, '', out);
    return out;
  };
}

function compile(desc: DescMessage): { checks: FieldCheck[] } {
  const known = compiled.get(desc);
  if (known) return known;
  // Entered before its fields are read: messages may contain themselves.
  const entry = { checks: [] as FieldCheck[] };
  compiled.set(desc, entry);
  if (hasOption(desc, messageOption)) throw unknownRule(desc.typeName, 'message');
  for (const oneof of desc.oneofs)
    if (hasOption(oneof, oneofOption)) throw unknownRule(`${desc.typeName}.${oneof.name}`, 'oneof');
  for (const field of desc.fields) {
    const check = compileField(field);
    if (check) entry.checks.push(check);
  }
  return entry;
}

function compileField(field: DescField): FieldCheck | undefined {
  const rules = hasOption(field, fieldOption) ? getOption(field, fieldOption) : undefined;
  const where = `${field.parent.typeName}.${field.name}`;
  if (rules) assertKnown(where, rules, ['type', 'required']);
  const required = rules?.required ?? false;
  const read = (message: Message): unknown => (message as unknown as Record<string, unknown>)[field.localName];
  if (field.oneof) {
    if (rules) throw unknownRule(where, 'rules inside a oneof');
    const nested = field.fieldKind === 'message' ? nestedCheck(field.message) : undefined;
    if (!nested) return undefined;
    const oneofName = field.oneof.localName;
    return {
      name: field.name,
      run: (message, path, out) => {
        const chosen = (message as unknown as Record<string, { case?: string; value?: unknown }>)[oneofName];
        if (chosen?.case === field.localName) nested(chosen.value as Message, join(path, field.name), out);
      },
    };
  }
  if (field.fieldKind === 'list') return listField(field, rules, where, read, required);
  if (field.fieldKind === 'map') return mapField(field.name, rules, where, read);
  const check = rules ? valueCheck(where, rules) : undefined;
  const nested = field.fieldKind === 'message' ? nestedCheck(field.message) : undefined;
  if (!required && !check && !nested) return undefined;
  // Rules other than `required` do not apply to an unset field that has presence.
  const hasPresence = field.presence !== FeatureSet_FieldPresence.IMPLICIT;
  return {
    name: field.name,
    run: (message, path, out) => {
      const value = read(message);
      if (required && !isFieldSet(message, field)) {
        out.push({ field: join(path, field.name), message: 'is required' });
        return;
      }
      if (hasPresence && (value === undefined || !isFieldSet(message, field))) return;
      const wrong = check?.(value);
      if (wrong) out.push({ field: join(path, field.name), message: wrong });
      nested?.(value as Message, join(path, field.name), out);
    },
  };
}

function mapField(
  name: string,
  rules: FieldRules | undefined,
  where: string,
  read: (message: Message) => unknown,
): FieldCheck | undefined {
  if (!rules) return undefined;
  if (rules.type.case !== 'map') throw unknownRule(where, rules.type.case ?? 'required');
  assertKnown(where, rules.type.value, ['maxPairs']);
  const max = Number(rules.type.value.maxPairs);
  return {
    name,
    run: (message, path, out) => {
      const count = Object.keys(read(message) as object).length;
      if (count > max) out.push({ field: join(path, name), message: `must have at most ${max} entries` });
    },
  };
}

function listField(
  field: DescField & { fieldKind: 'list' },
  rules: FieldRules | undefined,
  where: string,
  read: (message: Message) => unknown,
  required: boolean,
): FieldCheck | undefined {
  const nested = field.listKind === 'message' ? nestedCheck(field.message) : undefined;
  if (rules && rules.type.case !== 'repeated' && rules.type.case !== undefined) throw unknownRule(where, rules.type.case);
  const list = rules?.type.case === 'repeated' ? rules.type.value : undefined;
  if (list) assertKnown(where, list, ['minItems', 'maxItems', 'items']);
  const item = list?.items ? valueCheck(where, list.items) : undefined;
  if (!list && !nested && !required) return undefined;
  const min = Math.max(Number(list?.minItems ?? 0n), required ? 1 : 0);
  const max = list && isSet(list, 'maxItems') ? Number(list.maxItems) : Number.POSITIVE_INFINITY;
  return {
    name: field.name,
    run: (message, path, out) => {
      const values = read(message) as readonly unknown[];
      const at = join(path, field.name);
      if (values.length < min) out.push({ field: at, message: `must have at least ${min} items` });
      if (values.length > max) out.push({ field: at, message: `must have at most ${max} items` });
      if (!item && !nested) return;
      for (let index = 0; index < values.length; index++) {
        const wrong = item?.(values[index]);
        if (wrong) out.push({ field: `${at}[${index}]`, message: wrong });
        nested?.(values[index] as Message, `${at}[${index}]`, out);
      }
    },
  };
}

function nestedCheck(desc: DescMessage): ((message: Message, path: string, out: Violation[]) => void) | undefined {
  if (desc.typeName.startsWith('google.')) return undefined;
  const entry = compile(desc);
  return (message, path, out) => {
    for (const check of entry.checks) check.run(message, path, out);
  };
}

function valueCheck(where: string, rules: FieldRules): Check | undefined {
  const { type } = rules;
  switch (type.case) {
    case undefined:
      return undefined;
    case 'string':
      return stringCheck(where, type.value);
    case 'uint32':
    case 'int32':
    case 'uint64':
    case 'int64':
      return numberCheck(where, type.value);
    case 'duration':
      return durationCheck(where, type.value);
    case 'enum': {
      assertKnown(where, type.value, ['in']);
      const allowed = type.value.in;
      if (allowed.length === 0) return undefined;
      return (value) => (allowed.includes(value as number) ? undefined : `must be one of ${allowed.join(', ')}`);
    }
    default:
      throw unknownRule(where, type.case);
  }
}

function stringCheck(where: string, rules: Message): Check {
  assertKnown(where, rules, ['minLen', 'maxLen', 'maxBytes', 'pattern', 'in']);
  const { minLen, maxLen, maxBytes, pattern, in: allowed } = rules as unknown as StringBounds;
  const checks: Check[] = [];
  if (isSet(rules, 'minLen')) {
    const min = Number(minLen);
    checks.push((value) => {
      const text = value as string;
      return lengthMessage(text.length < min || (min > 1 && [...text].length < min), 'at least', minLen);
    });
  }
  if (isSet(rules, 'maxLen')) {
    // The quick test first: UTF-16 units are never fewer than code points.
    const max = Number(maxLen);
    checks.push((value) =>
      lengthMessage((value as string).length > max && [...(value as string)].length > max, 'at most', maxLen),
    );
  }
  if (isSet(rules, 'maxBytes')) {
    const max = Number(maxBytes);
    checks.push((value) => {
      const text = value as string;
      return text.length * 3 > max && Buffer.byteLength(text) > max ? `must be at most ${max} bytes long` : undefined;
    });
  }
  if (isSet(rules, 'pattern')) {
    const expression = new RegExp(pattern, 'u');
    checks.push((value) => (expression.test(value as string) ? undefined : `must match ${pattern}`));
  }
  if (allowed.length > 0)
    checks.push((value) =>
      allowed.includes(value as string) ? undefined : `must be one of ${allowed.map((word) => `"${word}"`).join(', ')}`,
    );
  return firstOf(checks);
}

interface StringBounds {
  readonly minLen: bigint;
  readonly maxLen: bigint;
  readonly maxBytes: bigint;
  readonly pattern: string;
  readonly in: readonly string[];
}

function lengthMessage(broken: boolean, word: string, length: bigint): string | undefined {
  return broken ? `must be ${word} ${length} character${length === 1n ? '' : 's'} long` : undefined;
}

function numberCheck(where: string, rules: Message): Check {
  assertKnown(where, rules, ['lessThan', 'greaterThan']);
  const { lessThan, greaterThan } = rules as unknown as Record<
    'lessThan' | 'greaterThan',
    { case?: string; value?: number | bigint }
  >;
  const checks: Check[] = [];
  if (lessThan.case === 'lte')
    checks.push((value) => ((value as number) <= (lessThan.value as number) ? undefined : `must be at most ${lessThan.value}`));
  if (lessThan.case === 'lt')
    checks.push((value) => ((value as number) < (lessThan.value as number) ? undefined : `must be less than ${lessThan.value}`));
  if (greaterThan.case === 'gte') {
    checks.push((value) =>
      (value as number) >= (greaterThan.value as number) ? undefined : `must be at least ${greaterThan.value}`,
    );
  }
  if (greaterThan.case === 'gt') {
    checks.push((value) =>
      (value as number) > (greaterThan.value as number) ? undefined : `must be more than ${greaterThan.value}`,
    );
  }
  return firstOf(checks);
}

function durationCheck(where: string, rules: Message): Check {
  assertKnown(where, rules, ['lessThan', 'greaterThan']);
  const { lessThan, greaterThan } = rules as unknown as Record<'lessThan' | 'greaterThan', { case?: string; value?: Duration }>;
  const checks: Check[] = [];
  const seconds = (value: unknown): number => Number((value as Duration).seconds) + (value as Duration).nanos / 1e9;
  const { case: upper, value: upperValue } = lessThan;
  if (upper) {
    const bound = seconds(upperValue);
    checks.push((value) =>
      (upper === 'lte' ? seconds(value) <= bound : seconds(value) < bound)
        ? undefined
        : `must be ${upper === 'lte' ? 'at most' : 'less than'} ${bound} s`,
    );
  }
  const { case: lower, value: lowerValue } = greaterThan;
  if (lower) {
    const bound = seconds(lowerValue);
    checks.push((value) =>
      (lower === 'gte' ? seconds(value) >= bound : seconds(value) > bound)
        ? undefined
        : `must be ${lower === 'gte' ? 'at least' : 'more than'} ${bound} s`,
    );
  }
  return firstOf(checks);
}

function firstOf(checks: readonly Check[]): Check {
  const [only] = checks;
  if (checks.length === 1 && only) return only;
  return (value) => {
    for (const check of checks) {
      const wrong = check(value);
      if (wrong) return wrong;
    }
    return undefined;
  };
}

function assertKnown(where: string, rules: Message, known: readonly string[]): void {
  const message: ReflectMessage = reflect(descOf(rules), rules);
  for (const member of message.members) {
    const isPresent = member.kind === 'oneof' ? message.oneofCase(member) !== undefined : message.isSet(member);
    if (isPresent && !known.includes(member.localName)) throw unknownRule(where, member.name);
  }
}

function isSet(rules: Message, localName: string): boolean {
  const field = descOf(rules).fields.find((candidate) => candidate.localName === localName);
  return field !== undefined && isFieldSet(rules, field);
}

function descOf(message: Message): DescMessage {
  const desc = rulesFile.messages.find((candidate) => candidate.typeName === message.$typeName);
  if (!desc) throw new Error(`No description of ${message.$typeName}`);
  return desc;
}

function unknownRule(where: string, rule: string): Error {
  return new Error(
    `Cannot start: ${where} has the validation rule "${rule}", which the kernel does not know. Use another rule, or teach src/kernel/calls/validate.ts.`,
  );
}

function join(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}
