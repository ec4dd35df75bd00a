import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { Index, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Transaction } from '#kernel/database/database.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { serveStreams } from '#kernel/streams/remote.ts';
import type { NewEvent } from '#kernel/streams/streams.ts';
import { keepTrimmed } from '#kernel/streams/trim.ts';
import { createApplyChanges } from './logic/apply-changes.ts';
import { createChangeFeed } from './logic/change-feed.ts';
import { createCheckIndex } from './logic/check-index.ts';
import { createSnapshots } from './logic/snapshots.ts';
import { createSourcePosition } from './logic/source-position.ts';
import { createIndexController } from './rpc/index-controller.ts';
import { eventMessage } from './rpc/messages.ts';
import type { settings } from './settings.ts';
import { walkFolders } from './store/folder-runs.ts';
import { folderNode, rootId } from './store/rows.ts';
import { createTreeStore } from './store/sql.ts';
import type { TreeEvent } from './store/store.ts';

/** How long a reader waits for the index to catch up with storage. Unit: milliseconds. */
const waitMsMax = 3000;
const dayMs = 86_400_000;

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { database, log, signal } = micro;
  const store = createTreeStore(database);
  await store.prepare(randomBytes(5).toString('hex'));
  const stream = await micro.openStream('nodes');
  const state = await store.state();
  const naming = { datasource: micro.instance, tag: state.tag };
  const sourcePosition = createSourcePosition(state.sourcePosition, waitMsMax);
  const encode = (event: TreeEvent): NewEvent => ({
    key: event.node.path.slice(0, 1024),
    type: `node.${event.kind}`,
    payload: toBinary(NodeEventSchema, create(NodeEventSchema, eventMessage(event, naming))),
  });
  /** What was known of the tree is void: followers are told, and nothing of the storage is covered. */
  const startOver = async (tx: Transaction): Promise<void> => {
    await tx.run('update state set source_position = 0');
    const root = folderNode({ id: rootId, mtimeUs: 0, inode: 0 }, '');
    await stream.append(tx, [encode({ kind: 'reset', node: root })]);
    tx.afterCommit(() => sourcePosition.set(0));
  };
  const apply = createApplyChanges({
    database,
    store,
    stream,
    sourcePosition,
    encode,
  });
  const snapshots = createSnapshots({
    database,
    folder: join(micro.folder, 'snapshots'),
    kept: micro.settings.snapshotsKept,
    now: () => micro.clock.now(),
    head: (call) => stream.head(call),
    onRestored: async (tx, { tag }) => {
      tx.afterCommit(() => {
        naming.tag = tag;
      });
      await startOver(tx);
    },
  });
  const check = createCheckIndex({ database, startOver, newTag: () => naming.tag });
  const controller = createIndexController({
    ...{ store, naming, sourcePosition, apply, feed: createChangeFeed(stream), snapshots, check, stopping: signal },
    head: (call) => stream.head(call),
    walkFolders: (top) => walkFolders(database, top),
  });
  void keepTrimmed(stream, { ageMsMax: 7 * dayMs, countMax: 1_000_000 }, log, signal);
  return {
    bindings: [implement(Index, controller), serveStreams([stream], signal)],
    check: (checkSignal) => database.check(checkSignal),
  };
}
