import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * What goes wrong. `EIO` and `ENOSPC`: one call fails that way. `short`: one write takes only some of its bytes.
 * `crash`: from then on nothing happens any more, as for a process that was killed.
 */
export type FaultKind = 'EIO' | 'ENOSPC' | 'short' | 'crash';

export interface FaultPlan {
  readonly kind: FaultKind;
  /** Which of the calls that can go wrong this way, from 0. */
  readonly at: number;
}

export interface FaultyRun<T> {
  readonly result: PromiseSettledResult<T>;
  /** True when the task got as far as to the fault. */
  readonly isStruck: boolean;
}

/** What a killed process would have said, had it been able to. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

interface State {
  readonly plan: FaultPlan;
  calls: number;
  isStruck: boolean;
}

const current = new AsyncLocalStorage<State>();

const writes = ['write', 'writev'] as const;
const changes = [...writes, 'open', 'mkdir', 'rename', 'link', 'fsync', 'fdatasync', 'copyFile', 'ftruncate'] as const;
const others = ['unlink', 'rmdir', 'rm', 'readdir', 'readFile', 'lstat', 'read', 'utimes', 'futimes'] as const;
const concerned: Readonly<Record<FaultKind, ReadonlySet<string>>> = {
  EIO: new Set([...changes, ...others]),
  ENOSPC: new Set(changes),
  short: new Set(writes),
  crash: new Set([...changes, ...others, 'step']),
};

/**
 * Runs a task whose file system calls go wrong as planned; other tasks go on as if nothing were.
 * Import this file before those whose calls are to be seen: they keep the functions they find.
 */
export async function runFaulty<T>(plan: FaultPlan, task: () => Promise<T>): Promise<FaultyRun<T>> {
  const state: State = { plan, calls: 0, isStruck: false };
  const [result] = await current.run(state, () => Promise.allSettled([task()]));
  return { result, isStruck: state.isStruck };
}

/** The same object, before each call of which a task may be killed. */
export function crashable<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const error = strike('step');
        return error ? Promise.reject(error) : Reflect.apply(value, object, args);
      };
    },
  });
}

/** What the next call of this name fails with. */
function strike(name: string): Error | 'short' | undefined {
  const state = current.getStore();
  if (!state || !concerned[state.plan.kind].has(name)) return undefined;
  const { kind, at } = state.plan;
  const turn = state.calls++;
  if (turn < at || (turn > at && kind !== 'crash')) return undefined;
  state.isStruck = true;
  if (kind === 'short') return kind;
  return kind === 'crash' ? new Crash(`killed before ${name}`) : Object.assign(new Error(`${kind}: ${name}`), { code: kind });
}

type Call = (...args: unknown[]) => unknown;

for (const name of [...changes, ...others]) {
  const original = fs[name] as Call;
  const faulty: Call = (...args) => {
    const error = strike(name);
    if (error === undefined) return original(...args);
    if (error === 'short') return original(args[0], ...shortened(args[1]), ...args.slice(2));
    return (args.at(-1) as Call)(error);
  };
  // With what `promisify` looks for.
  Object.defineProperties(faulty, Object.getOwnPropertyDescriptors(original));
  Object.assign(fs, { [name]: faulty });
}
syncBuiltinESMExports();

function shortened(data: unknown): unknown[] {
  const half = (piece: Uint8Array): Uint8Array => piece.subarray(0, Math.ceil(piece.length / 2));
  return [Array.isArray(data) ? [half(data[0] as Uint8Array)] : half(data as Uint8Array)];
}
