import { join } from 'node:path';
import { temporaryFolder } from '../../testing/engines.ts';
import { conformanceSuite } from '../conformance.suite.ts';
import { startPeer } from '../testing/start-peer.ts';
import { createLocalChannel } from './channel.ts';
import { windowBytes } from './credit.ts';
import { serveLocal } from './server.ts';

conformanceSuite({
  name: 'local sockets',
  aheadMax: (2 * windowBytes) / (16 * 1024),
  async open(t, endpoint) {
    const folder = temporaryFolder();
    const path = join(folder.path, 's.sock');
    const server = await serveLocal(endpoint, { path });
    const channel = createLocalChannel({ path });
    t.after(async () => {
      await channel.close();
      await server.close(AbortSignal.abort());
      folder[Symbol.dispose]();
    });
    return channel;
  },
  async startPeer(t) {
    const folder = temporaryFolder();
    const path = join(folder.path, 's.sock');
    const peer = await startPeer(['local', path]);
    const channel = createLocalChannel({ path });
    t.after(async () => {
      await channel.close();
      await peer.kill();
      folder[Symbol.dispose]();
    });
    return { channel, kill: peer.kill, restart: peer.restart };
  },
});
