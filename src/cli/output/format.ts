import type { DescEnum } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `0 B`, `1.5 KiB`, `12 MiB`: three digits at most, powers of 1024. Unit of the argument: bytes. */
export function formatBytes(bytes: number | bigint): string {
  let amount = Number(bytes);
  let unit = 0;
  // Numbers that would round up to 1024 belong to the next unit.
  while (unit < units.length - 1 && amount >= (unit === 0 ? 1024 : 1023.5)) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 || amount >= 9.95 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

/** `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `3 files`, `1 file`. */
export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${BigInt(count) === 1n ? one : many}`;
}

/** `450 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. Unit of the argument: milliseconds. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** `just now`, `5 min ago`, `in 3 d`; `never` for no time. `nowMs`: milliseconds since 1970. */
export function formatAge(time: Timestamp | undefined, nowMs: number, never = 'never'): string {
  const at = millis(time);
  if (at === undefined) return never;
  const distance = Math.abs(nowMs - at);
  if (distance < 1500) return 'just now';
  const [amount, unit] = coarse(distance / 1000);
  return at > nowMs ? `in ${amount} ${unit}` : `${amount} ${unit} ago`;
}

/** `2026-03-04 05:06` in local time; empty for no time. */
export function formatTime(time: Timestamp | undefined): string {
  const at = millis(time);
  if (at === undefined) return '';
  const date = new Date(at);
  const two = (part: number): string => String(part).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** `watching` for the value of `STATE_WATCHING`; the number for a value of a newer contract. */
export function enumWord(desc: DescEnum, value: number): string {
  return desc.value[value]?.localName.toLowerCase() ?? String(value);
}

/** Milliseconds since 1970. */
export function millis(time: Timestamp | undefined): number | undefined {
  return time ? Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6) : undefined;
}

function coarse(seconds: number): [number, string] {
  if (seconds < 90) return [Math.round(seconds), 's'];
  if (seconds < 90 * 60) return [Math.round(seconds / 60), 'min'];
  if (seconds < 36 * 3600) return [Math.round(seconds / 3600), 'h'];
  if (seconds < 60 * 86_400) return [Math.round(seconds / 86_400), 'd'];
  if (seconds < 700 * 86_400) return [Math.round(seconds / 2_629_746), 'months'];
  return [Math.round(seconds / 31_556_952), 'years'];
}
