import type { Style } from '../output/style.ts';
import { printable } from '../output/table.ts';

/** A JSON log line as people read it: time of day, level, service, message, fields; newline included. Other lines stay as they are. */
export function logLineText(line: string, style: Style): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line.endsWith('\n') ? line : `${line}\n`;
  }
  const { time, level, message, service, ...fields } = record;
  const clock = new Date(String(time)).toLocaleTimeString('en-GB', { hour12: false });
  const word = String(level).padEnd(5);
  const paint = level === 'error' ? style.red : level === 'warn' ? style.yellow : level === 'info' ? style.green : style.dim;
  const rest = Object.entries(fields)
    .map(([name, value]) => `${style.dim(`${name}=`)}${fieldText(value)}`)
    .join(' ');
  const who = service ? `${style.blue(String(service))}: ` : '';
  return `${style.dim(clock)} ${paint(word)} ${who}${printable(String(message))}${rest ? ` ${rest}` : ''}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) {
    const { message, cause } = value as { message: unknown; cause?: unknown };
    return printable(cause ? `${String(message)} (${fieldText(cause)})` : String(message));
  }
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return printable(text ?? '');
}
