import type { TestContext } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { index } from '../../index/main.ts';
import type { DatasourceKind } from '../../plan.ts';
import { type DataPlatform, startDataPlatform } from '../../testing/data-platform.ts';
import { exactVolume, type Volume } from '../../volume.ts';
import { Disk } from '../logic/disk.ts';
import { Keeper, type KeeperOptions } from '../logic/keeper.ts';
import { DiskMounts } from '../logic/mounts.ts';
import { PassProgress } from '../logic/pass-progress.ts';
import { noWatches } from '../logic/watches.ts';

export interface KeeperSetup extends Partial<Omit<KeeperOptions, 'limits'>> {
  readonly askAboveDeletes?: number;
  readonly kind?: DatasourceKind;
  readonly volume?: Volume;
  /** Started by the caller. */
  readonly data?: DataPlatform;
}

export interface TestKeeper {
  readonly data: DataPlatform;
  readonly root: string;
  readonly keeper: Keeper;
  readonly mounts: DiskMounts;
  /** A pass that names its changes; `isDryRun`: tells nothing. */
  pass(options?: { readonly path?: string; readonly isDryRun?: boolean; readonly isConfirmed?: boolean }): Promise<PassProgress>;
  /** Paths in the index, folders with a slash. */
  paths(): Promise<string[]>;
}

/** A keeper over a real index that nobody else tells anything, and nobody notifies. */
export async function startKeeper(t: TestContext, setup: KeeperSetup = {}): Promise<TestKeeper> {
  const { askAboveDeletes = 100, kind = 'folder', volume = exactVolume, ...more } = setup;
  const data = setup.data ?? (await startDataPlatform(t, { only: [index.name] }));
  const root = data.folder();
  const mounts = new DiskMounts({ root, known: [], onChange: () => undefined });
  const keeper = new Keeper({
    subject: { datasource: 'docs', place: root },
    storage: new Disk({ root, kind, volume, mounts }),
    index: data.index(),
    watches: noWatches,
    limits: { askAboveDeletes, askAbovePercent: 50 },
    isPaused: () => false,
    onFresh: () => undefined,
    log: silentLog,
    signal: new AbortController().signal,
    ...more,
  });
  return {
    ...{ data, root, keeper, mounts },
    pass: ({ path = '', isDryRun = false, isConfirmed = false } = {}) => {
      const progress = new PassProgress({ path, isDryRun, changesMax: 1000 });
      return path === '' ? keeper.pass('', { progress, isConfirmed }) : keeper.passBranch(path, { progress, isConfirmed });
    },
    async paths() {
      const paths: string[] = [];
      for await (const { nodes } of data.index().walkNodes({ path: '' }))
        for (const { path, entry } of nodes) paths.push(entry?.isFolder ? `${path}/` : path);
      return paths;
    },
  };
}
