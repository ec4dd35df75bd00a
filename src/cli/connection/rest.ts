import { createRestClient } from '#kernel/rest/client.ts';
import type { Connection } from '../command.ts';
import type { Target } from './target.ts';

export function connectRest(target: Target & { kind: 'rest' }, isSameMachine: boolean, signal: AbortSignal): Connection {
  const options = { baseUrl: target.url, signal, ...(target.token ? { token: target.token } : {}) };
  return {
    address: target.url,
    isSameMachine,
    client: (desc) => createRestClient(desc, options),
    // Its connections end with the process.
    [Symbol.asyncDispose]: async () => undefined,
  };
}
