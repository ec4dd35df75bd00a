import { Code, Fault } from '../fault.ts';
import type { Running } from './service.ts';

/** Asks a service how it is. Result: why it is not well, in words; empty when it is. A check that ignores its signal counts as failed. */
export async function checkOnce({ check }: Running, timeoutMs: number): Promise<string> {
  if (!check) return '';
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Fault(Code.DeadlineExceeded, `its check took longer than ${timeoutMs} ms`)),
    timeoutMs + 50,
  );
  try {
    await Promise.race([check(AbortSignal.timeout(timeoutMs)), late.promise]);
    return '';
  } catch (error) {
    const { code, message, cause } = Fault.from(error);
    return code === Code.Internal && cause instanceof Error ? cause.message : message;
  } finally {
    clearTimeout(timer);
  }
}
