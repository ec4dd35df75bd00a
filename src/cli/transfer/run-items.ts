import { Code, Fault } from '#kernel/fault.ts';
import { pause } from '#lib/pause.ts';
import type { Item } from './item.ts';

/** How often something is tried while the server is away, and how long it waits first. Unit: milliseconds. */
const attemptsMax = 5;
const retryDelayMs = 500;

export interface Outcome {
  files: number;
  folders: number;
  /** Left out on purpose: it exists and must stay, or it is no file. */
  readonly skipped: { readonly path: string; readonly why: string }[];
  readonly failed: { readonly path: string; readonly fault: Fault }[];
}

export interface RunOptions {
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Copies one thing; repeatable. */
  readonly copy: (item: Item & { kind: 'file' | 'folder' }) => Promise<void>;
}

/**
 * Copies all items, a bounded number at a time; one that fails does not stop the others, since the rest may well succeed. What the
 * server cannot take now is tried again a few times. Errors: `canceled`, `unauthenticated`: those hold for all.
 */
export async function runItems(items: AsyncIterable<Item>, options: RunOptions): Promise<Outcome> {
  const outcome: Outcome = { files: 0, folders: 0, skipped: [], failed: [] };
  const source = items[Symbol.asyncIterator]();
  let fatal: Fault | undefined;
  const worker = async (): Promise<void> => {
    while (!fatal) {
      const next = await source.next();
      if (next.done) return;
      const item = next.value;
      if (item.kind === 'skipped') {
        outcome.skipped.push({ path: item.from, why: item.why });
        continue;
      }
      try {
        await withRetries(() => options.copy(item), options.signal);
        outcome[item.kind === 'file' ? 'files' : 'folders']++;
      } catch (error) {
        const fault = Fault.from(error);
        if (fault.code === Code.Canceled || fault.code === Code.Unauthenticated) fatal ??= fault;
        else if (fault.reason === 'exists_already') outcome.skipped.push({ path: item.from, why: fault.message });
        else outcome.failed.push({ path: item.from, fault });
      }
    }
  };
  const settled = await Promise.allSettled(Array.from({ length: options.parallel }, worker));
  if (fatal) throw fatal;
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  return outcome;
}

async function withRetries(attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let count = 1; ; count++) {
    try {
      await attempt();
      return;
    } catch (error) {
      const fault = Fault.from(error);
      // An address nobody listens on is told at once; a server that answers "not now" is waited for.
      const isWorthIt = fault.isRetryable && fault.reason !== 'unreachable';
      if (!isWorthIt || count >= attemptsMax) throw fault;
      await pause(fault.retryAfterMs ?? retryDelayMs * 2 ** (count - 1), signal);
    }
  }
}
