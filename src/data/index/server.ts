import { randomBytes } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { Index, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { serveStreams } from '#kernel/streams/remote.ts';
import { keepTrimmed } from '#kernel/streams/trim.ts';
import { createApplyChanges } from './logic/apply-changes.ts';
import { createChangeFeed } from './logic/change-feed.ts';
import { createSourcePosition } from './logic/source-position.ts';
import { createIndexController } from './rpc/index-controller.ts';
import { eventMessage, type Naming } from './rpc/messages.ts';
import { walkFolders } from './store/folder-runs.ts';
import { createTreeStore } from './store/sql.ts';

/** How long a reader waits for the index to catch up with storage. Unit: milliseconds. */
const waitMsMax = 3000;
const dayMs = 86_400_000;

export async function createServer(micro: Micro): Promise<Running> {
  const { database, log, signal } = micro;
  const store = createTreeStore(database);
  await store.prepare(randomBytes(5).toString('hex'));
  const stream = await micro.openStream('nodes');
  const state = await store.state();
  const naming: Naming = { datasource: micro.instance, tag: state.tag };
  const sourcePosition = createSourcePosition(state.sourcePosition, waitMsMax);
  const apply = createApplyChanges({
    database,
    store,
    stream,
    sourcePosition,
    encode: (event) => ({
      key: event.node.path.slice(0, 1024),
      type: `node.${event.kind}`,
      payload: toBinary(NodeEventSchema, create(NodeEventSchema, eventMessage(event, naming))),
    }),
  });
  const controller = createIndexController({
    ...{ store, naming, sourcePosition, apply, feed: createChangeFeed(stream), stopping: signal },
    head: (call) => stream.head(call),
    walkFolders: (top) => walkFolders(database, top),
  });
  void keepTrimmed(stream, { ageMsMax: 7 * dayMs, countMax: 1_000_000 }, log, signal);
  return {
    bindings: [implement(Index, controller), serveStreams([stream], signal)],
    check: (checkSignal) => database.check(checkSignal),
  };
}
