import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { RestSample } from '#gen/cellar/testing/v1/rest_pb.ts';
import { anybody, type Caller } from '../../calls/caller.ts';
import { type Client, createClient } from '../../calls/client.ts';
import { createDirectChannel } from '../../calls/direct.ts';
import { Dispatcher } from '../../calls/dispatcher.ts';
import { Endpoint } from '../../calls/endpoint.ts';
import { unauthenticated } from '../../fault.ts';
import { silentLog } from '../../log.ts';
import { continueOnRead } from '../../process/http.ts';
import { createTranscoder, type RestRecord, type TranscoderOptions } from '../transcoder.ts';
import { type SampleState, sampleService } from './sample-service.ts';

export interface ServedSample extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly state: SampleState;
  /** The same service without HTTP. */
  readonly direct: Client<typeof RestSample>;
  readonly records: RestRecord[];
}

export const sampleUser: Caller = { id: 'u1', name: 'ann', roles: [Role.USER], scopes: ['*'], via: '' };

/** The sample contract as REST on a free port of 127.0.0.1. The token `good` is Ann, no token is anybody, any other is refused. */
export async function serveSample(options: Partial<TranscoderOptions> = {}): Promise<ServedSample> {
  const { binding, state } = sampleService();
  const endpoint = new Endpoint();
  endpoint.add(new Dispatcher([binding], { service: 'sample', log: silentLog }));
  const route = { channel: createDirectChannel(endpoint), service: 'sample' };
  const records: RestRecord[] = [];
  const transcoder = createTranscoder({
    contracts: [RestSample],
    client: (desc) => createClient(desc, { route: () => route }),
    admit: (_method, request) => {
      const { authorization } = request.headers;
      if (authorization === undefined) return anybody;
      if (authorization !== 'Bearer good') throw unauthenticated('The token is not known', { reason: 'token_unknown' });
      return sampleUser;
    },
    log: silentLog,
    observe: (record) => records.push(record),
    ...options,
  });
  const server = createServer(transcoder);
  server.on('checkContinue', (request, response) => {
    continueOnRead(request, response);
    void transcoder(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    state,
    direct: createClient(RestSample, { route: () => route, caller: sampleUser }),
    records,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
