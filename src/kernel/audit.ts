import { appendFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import type { Message } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from './calls/caller.ts';
import type { CallRecord } from './calls/dispatcher.ts';
import type { Log } from './log.ts';

/** Lines kept in memory when the disk does not take them; older ones are then dropped and counted. */
const linesMax = 100_000;

export interface Audit {
  /** Notes a finished call; meant for `Surroundings.observe`. */
  readonly observe: (record: CallRecord) => void;
  /** Notes something a person did that is not a call, such as an S3 request. */
  readonly note: (entry: AuditEntry) => void;
  /** Writes what is still held. */
  close(): Promise<void>;
}

/** What a person did, beside calls. */
export interface AuditEntry {
  readonly caller: Caller;
  readonly service: string;
  /** Such as `s3.PutObject`. */
  readonly method: string;
  /** What it was about; no secrets. */
  readonly fields: Readonly<Record<string, string>>;
  /** `ok`, or the word for what went wrong. */
  readonly code: string;
  /** Unit: milliseconds. */
  readonly durationMs: number;
}

export interface AuditOptions {
  /** File the lines are appended to. Several processes may append to one file: every write holds whole lines. */
  readonly path: string;
  readonly log: Log;
  readonly now?: () => number;
  /** Longest time a line is held. Unit: milliseconds; default 100. */
  readonly delayMs?: number;
}

/**
 * Who changed what: one JSON line per write call made by a person or on behalf of one. Writes of services acting for themselves
 * are their own bookkeeping and are not noted.
 */
export function createAudit({ path, log, now = Date.now, delayMs = 100 }: AuditOptions): Audit {
  let lines: string[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;

  const flush = async (): Promise<void> => {
    timer = undefined;
    const batch = lines;
    lines = [];
    if (batch.length === 0) return;
    try {
      await appendFile(path, batch.join(''), { mode: 0o600 });
      if (dropped > 0) log.error('audit lines were lost while the disk refused them', { dropped });
      dropped = 0;
    } catch (error) {
      log.error('audit lines cannot be written; they are kept for another try', { path, lines: batch.length, error });
      const kept = [...batch, ...lines];
      dropped += Math.max(0, kept.length - linesMax);
      lines = kept.slice(-linesMax);
      timer ??= setTimeout(schedule, 1000).unref();
    }
  };
  const schedule = (): void => {
    writing = (writing ?? Promise.resolve()).then(flush);
  };
  // A crash of the process still leaves the lines of finished calls.
  const onExit = (): void => {
    if (lines.length > 0) appendFileSync(path, lines.join(''), { mode: 0o600 });
  };
  process.on('exit', onExit);
  const add = (line: Readonly<Record<string, unknown>>): void => {
    lines.push(`${JSON.stringify(line)}\n`);
    timer ??= setTimeout(schedule, delayMs).unref();
  };
  return {
    observe: (record) => {
      if (record.method.isWrite && !isOwnBusiness(record)) add(auditLine(record, now()));
    },
    note: ({ caller, service, method, fields, code, durationMs }) =>
      add({
        time: new Date(now()).toISOString(),
        ...callerFields(caller),
        service,
        method,
        fields,
        code,
        durationMs: Math.round(durationMs * 1000) / 1000,
      }),
    close: async () => {
      if (timer) clearTimeout(timer);
      schedule();
      await writing;
      process.off('exit', onExit);
      onExit();
      lines = [];
    },
  };
}

function isOwnBusiness({ call: { caller } }: CallRecord): boolean {
  return caller.via === '' && caller.roles.length === 1 && caller.roles[0] === Role.SERVICE;
}

function callerFields({ id, name, via, origin }: Caller): Record<string, string> {
  return { caller: id, name, ...(via ? { via } : {}), ...(origin ? { origin } : {}) };
}

function auditLine(record: CallRecord, nowMs: number): Record<string, unknown> {
  const { call, method, fault, request } = record;
  const fields = Object.fromEntries(method.auditFields.map((path) => [path, request ? fieldAt(request, path) : undefined]));
  return {
    time: new Date(nowMs).toISOString(),
    ...callerFields(call.caller),
    service: record.service,
    method: method.name,
    ...(method.auditFields.length > 0 ? { fields } : {}),
    code: fault?.code ?? 'ok',
    ...(fault ? { reason: fault.reason } : {}),
    trace: call.trace.traceId,
    durationMs: Math.round(record.durationMs * 1000) / 1000,
  };

  function fieldAt(message: Message, path: string): unknown {
    let scope = reflect(method.input, message);
    const parts = path.split('.');
    for (const [index, part] of parts.entries()) {
      const field = scope.fields.find((candidate) => candidate.name === part);
      if (!field || !scope.isSet(field)) return undefined;
      if (index < parts.length - 1) {
        if (field.fieldKind !== 'message') return undefined;
        scope = scope.get(field);
        continue;
      }
      return plain((scope.message as unknown as Record<string, unknown>)[field.localName]);
    }
    return undefined;
  }
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return `(${value.length} bytes)`;
  return value;
}
