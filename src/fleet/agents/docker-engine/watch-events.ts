import type Docker from 'dockerode';
import { readMarks } from '../logic/marks.ts';

/** Names of clusters of which a container has changed. Ends with the signal, and with the engine. */
export async function* watchEvents(docker: Docker, filters: { label: string[] }, signal: AbortSignal): AsyncGenerator<string> {
  const stream = await docker.getEvents({ filters: { ...filters, type: ['container'] }, abortSignal: signal });
  let rest = '';
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    const lines = (rest + Buffer.from(chunk).toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { Actor } = JSON.parse(line) as { Actor?: { Attributes?: Record<string, string> } };
      const cluster = readMarks(Actor?.Attributes)?.cluster;
      if (cluster) yield cluster;
    }
  }
}
