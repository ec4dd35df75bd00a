/** A log line: a constant message plus fields, one JSON object per line. Values that are errors are written with their causes. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with more fields on every line. */
  with(fields: LogFields): Log;
}

export type LogFields = Readonly<Record<string, unknown>>;

export const LogLevel = { Debug: 'debug', Info: 'info', Warn: 'warn', Error: 'error', Off: 'off' } as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

const ranks: Readonly<Record<LogLevel, number>> = { debug: 10, info: 20, warn: 30, error: 40, off: 100 };

export interface LogOptions {
  /** Least serious level that is written; a function is asked for every line. */
  readonly level: LogLevel | (() => LogLevel);
  /** Called once per line, newline included. */
  readonly write: (line: string) => void;
  readonly now?: () => number;
  readonly fields?: LogFields;
}

export function createLog(options: LogOptions): Log {
  const { level, write, now = Date.now, fields: base = {} } = options;
  const line = (lineLevel: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (ranks[lineLevel] < ranks[typeof level === 'function' ? level() : level]) return;
    const record = { time: new Date(now()).toISOString(), level: lineLevel, message, ...base, ...fields };
    write(`${JSON.stringify(record, plainValue)}\n`);
  };
  return {
    debug: (message, fields) => line('debug', message, fields),
    info: (message, fields) => line('info', message, fields),
    warn: (message, fields) => line('warn', message, fields),
    error: (message, fields) => line('error', message, fields),
    with: (fields) => createLog({ ...options, fields: { ...base, ...fields } }),
  };
}

/** A log that writes nothing; for tests and short-lived tools. */
export const silentLog: Log = createLog({ level: 'off', write: () => undefined });

function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    return { name, message, ...(stack ? { stack: stack.split('\n').slice(1, 6).join('\n') } : {}), ...(cause ? { cause } : {}) };
  }
  return value;
}
