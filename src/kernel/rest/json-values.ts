import { create, type DescEnum, type DescField, ScalarType } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { wholeBounds } from './field-text.ts';

/** Says that a value is not of the common shape; it may still be right. */
export const unread: unique symbol = Symbol('unread');

/** Reads one JSON value, or answers `unread`. `path` ends with a dot, or is empty. */
export type ReadValue = (value: unknown, path: string) => unknown;
/** Writes one value as JSON text. */
export type WriteValue = (value: unknown) => string;

/** Reads values of a field's type in their usual form; undefined for types that have none here. */
export function fastReader(field: DescField): ReadValue | undefined {
  if (field.enum) {
    const numbers = new Map(field.enum.values.map(({ name, number }) => [name, number]));
    return (value) => (typeof value === 'string' ? (numbers.get(value) ?? unread) : unread);
  }
  if (field.message) return field.message.typeName === TimestampSchema.typeName ? readTimestamp : undefined;
  switch (field.scalar) {
    case ScalarType.STRING:
      return (value) => (typeof value === 'string' && value.isWellFormed() ? value : unread);
    case ScalarType.BOOL:
      return (value) => (typeof value === 'boolean' ? value : unread);
    case ScalarType.DOUBLE:
      return (value) => (typeof value === 'number' ? value : unread);
    case ScalarType.FLOAT:
    case ScalarType.BYTES:
      return undefined;
    default:
      return wholeReader(field.scalar as ScalarType);
  }
}

/** Writes values of a field's type; undefined for types that the library writes. */
export function fastWriter(field: DescField): WriteValue | undefined {
  if (field.enum) return enumWriter(field.enum);
  if (field.message) return field.message.typeName === TimestampSchema.typeName ? writeTimestamp : undefined;
  switch (field.scalar) {
    case ScalarType.STRING:
      return quote;
    case ScalarType.BOOL:
      return String;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return (value) => (Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`);
    case ScalarType.BYTES:
      return undefined;
    default:
      return wholeBounds(field.scalar as ScalarType).isBig ? (value) => `"${value}"` : String;
  }
}

function wholeReader(scalar: ScalarType): ReadValue {
  const { min, max, isBig } = wholeBounds(scalar);
  if (isBig) {
    // Up to 18 digits fit without looking; a sign or more of them are rare.
    return (value) => (typeof value === 'string' && value.length < 19 && /^\d+$/.test(value) ? BigInt(value) : unread);
  }
  const [least, most] = [Number(min), Number(max)];
  return (value) => (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : unread);
}

function enumWriter(desc: DescEnum): WriteValue {
  const names = new Map(desc.values.map(({ name, number }) => [number, `"${name}"`]));
  return (value) => names.get(value as number) ?? String(value);
}

/** `2026-11-20T12:00:00Z`, or with milliseconds. */
function readTimestamp(value: unknown): Timestamp | typeof unread {
  if (typeof value !== 'string' || (value.length !== 20 && value.length !== 24) || value[10] !== 'T' || !value.endsWith('Z'))
    return unread;
  const timeMs = Date.parse(value);
  if (Number.isNaN(timeMs) || timeMs < 0) return unread;
  const seconds = Math.floor(timeMs / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: (timeMs - seconds * 1000) * 1_000_000 });
}

// Times of one answer are mostly of one day, and putting a date in words is what costs.
let shownDay = 0;
let shownDate = '1970-01-01';

function twoDigits(value: number): string {
  return value < 10 ? `0${Math.floor(value)}` : String(Math.floor(value));
}

function writeTimestamp(value: unknown): string {
  const { seconds, nanos } = value as Timestamp;
  const whole = Number(seconds);
  if (whole < -62_135_596_800 || whole > 253_402_300_799 || nanos < 0 || nanos > 999_999_999)
    throw new RangeError(`A timestamp of ${seconds} seconds and ${nanos} nanoseconds has no JSON form`);
  const day = Math.floor(whole / 86_400);
  if (day !== shownDay) {
    shownDay = day;
    shownDate = new Date(day * 86_400_000).toISOString().slice(0, 10);
  }
  const second = whole - day * 86_400;
  const text = `${shownDate}T${twoDigits(second / 3600)}:${twoDigits((second / 60) % 60)}:${twoDigits(second % 60)}`;
  if (nanos === 0) return `"${text}Z"`;
  const digits = String(nanos).padStart(9, '0');
  const short = nanos % 1_000_000 === 0 ? digits.slice(0, 3) : nanos % 1000 === 0 ? digits.slice(0, 6) : digits;
  return `"${text}.${short}Z"`;
}

/** As `JSON.stringify`, which for short plain text costs several times as much. */
function quote(value: unknown): string {
  const text = value as string;
  if (text.length > 40) return JSON.stringify(text);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x22 || code === 0x5c || code >= 0xd800) return JSON.stringify(text);
  }
  return `"${text}"`;
}
