import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { apply, type ChainGround, killAndHeal, release, shows, so } from './chain-ground.ts';

const { OK, DEGRADED, FAILED } = Cluster_Health;

/** Three NATS servers: what is stored in a stream of three copies is there after a kill; one frozen is told by name, two are a failure. */
export async function natsScenario(ground: ChainGround): Promise<void> {
  const used = await apply(ground, 'nats-jetstream', {});
  const { user = '', password = '', servers = '' } = used.connection;
  const urls = servers.split(',').map((url) => new URL(url));
  assert.equal(urls.length, 3);
  const ask = (server: number, subject: string, body = ''): Promise<string> => {
    const { hostname = '', port = '' } = urls[server] ?? {};
    return natsRequest({ host: hostname, port: Number(port), user, password }, subject, body);
  };
  const stream = { name: 'S', subjects: ['s'], num_replicas: 3, storage: 'file' };
  await so(ground, 'the stream is made', async (see) => {
    const answer = await ask(0, '$JS.API.STREAM.CREATE.S', JSON.stringify(stream));
    see(answer);
    return answer.includes('"config"');
  });
  /** Stores one message, once a leader of the stream is there. */
  const store = (server: number, text: string): Promise<void> =>
    so(ground, `"${text}" is stored`, async (see) => {
      const answer = await ask(server, 's', text);
      see(answer);
      return answer.includes('"stream":"S"');
    });
  const last = async (server: number): Promise<string> => {
    const text = await ask(server, '$JS.API.STREAM.MSG.GET.S', JSON.stringify({ last_by_subj: 's' }));
    const answer = JSON.parse(text || '{}') as { message?: { data?: string } };
    return Buffer.from(answer.message?.data ?? '', 'base64').toString();
  };
  await store(0, 'first');
  await killAndHeal(ground, used, 'server-1');
  await so(ground, 'the stream is whole', async () => (await last(1)) === 'first');

  await ground.freeze(used.cluster, 'server-2');
  await shows(ground, used, [DEGRADED], /^Silent: .*server-2/);
  await store(0, 'second');
  await ground.freeze(used.cluster, 'server-1');
  await shows(ground, used, [FAILED], /^Silent: .*server-1/);
  await ground.thaw(used.cluster, 'server-1');
  await ground.thaw(used.cluster, 'server-2');
  await shows(ground, used, [OK]);
  await so(ground, 'nothing is lost', async () => (await last(2)) === 'second');
  await release(ground, used);
}

/** Publishes and waits for the answer; empty when nobody is there to give one. Source: the NATS client protocol. */
async function natsRequest(
  { host, port, user, password }: { host: string; port: number; user: string; password: string },
  subject: string,
  body: string,
): Promise<string> {
  const patience = AbortSignal.timeout(5000);
  const socket = connect({ host, port, signal: patience });
  try {
    const login = { user, pass: password, verbose: false, headers: true, no_responders: true };
    socket.write(
      `CONNECT ${JSON.stringify(login)}\r\nSUB answer 1\r\nPUB ${subject} answer ${Buffer.byteLength(body)}\r\n${body}\r\n`,
    );
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      if (/^HMSG /m.test(text)) return '';
      const [found, size = '', rest = ''] = /^MSG \S+ \S+ +(\d+)\r\n([\s\S]*)/m.exec(text) ?? [];
      if (found !== undefined && rest.length >= Number(size)) return rest.slice(0, Number(size));
    }
    return '';
  } catch (error) {
    // Servers that cannot be reached, or that wait for a leader.
    if (patience.aborted || (error instanceof Error && 'code' in error)) return '';
    throw error;
  } finally {
    socket.destroy();
  }
}
