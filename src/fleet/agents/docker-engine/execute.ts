import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import type { Executed } from '../../driver/driver.ts';
import { readFrames } from './read-frames.ts';

const outputSizeBytesMax = 1024 * 1024;
/** Runs a command in a container. Errors: those of the engine; the signal's. */
export async function execute(container: Docker.Container, command: readonly string[], signal: AbortSignal): Promise<Executed> {
  const run = await container.exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true, abortSignal: signal });
  const stream = await run.start({ hijack: false, stdin: false, abortSignal: signal });
  const kept: Record<1 | 2, Buffer> = { 1: Buffer.alloc(0), 2: Buffer.alloc(0) };
  const cut = (): void => void (stream as Duplex).destroy();
  signal.addEventListener('abort', cut);
  try {
    for await (const { output, bytes } of readFrames(stream))
      kept[output] = Buffer.concat([kept[output], bytes]).subarray(-outputSizeBytesMax);
  } finally {
    signal.removeEventListener('abort', cut);
  }
  signal.throwIfAborted();
  const { ExitCode } = await run.inspect({ abortSignal: signal });
  return { exitCode: ExitCode ?? -1, output: kept[1], errors: kept[2] };
}
