import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault, unavailable } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { index } from '../../index/main.ts';
import { startDataPlatform } from '../../testing/data-platform.ts';
import { exactVolume } from '../../volume.ts';
import { startKeeper } from '../testing/keeper.ts';
import { PassProgress } from './pass-progress.ts';

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';

/** Writes files by path; those that end with a slash are folders. */
function fill(root: string, ...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, path, path.endsWith('/') ? '' : '..'), { recursive: true });
    if (!path.endsWith('/')) writeFileSync(join(root, path), path);
  }
}

const changes = (progress: PassProgress): string[] =>
  progress.changes.map(
    ({ kind, path, newPath, nodes }) => `${kind} ${path}${newPath ? ` > ${newPath}` : ''}${nodes > 1 ? ` (${nodes})` : ''}`,
  );

const skips = (progress: PassProgress) => Object.fromEntries(progress.skipped);

/** Mounts something until the test ends, or before that. */
function mount(path: string, ...args: readonly string[]): { unmount(): void } & Disposable {
  let isMounted = true;
  execFileSync('mount', [...args, path]);
  const unmount = (): void => {
    if (isMounted) execFileSync('umount', [path]);
    isMounted = false;
  };
  return { unmount, [Symbol.dispose]: unmount };
}
const disk = ['-t', 'tmpfs', 'none'];

function canMount(): string | false {
  if (needsRoot) return needsRoot;
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'may not mount';
  }
}
const cannotMount = canMount();

test('a pass counts what it deletes, in folders that moved too', async (t) => {
  const { root, pass } = await startKeeper(t);
  fill(root, ...['gone', 'old/deep'].flatMap((folder) => ['a', 'b', 'c'].map((name) => `${folder}/${name}`)));
  await pass();
  rmSync(join(root, 'gone'), { recursive: true });
  rmSync(join(root, 'old/deep/a'));
  renameSync(join(root, 'old'), join(root, 'new'));
  const dry = await pass({ isDryRun: true });
  assert.deepEqual(changes(dry), ['move old > new (5)', 'delete gone (4)']);
  assert.deepEqual([dry.moved, dry.deleted, dry.created], [1, 4, 0]);
  const { moved, deleted } = await pass();
  assert.deepEqual({ moved, deleted }, { moved: 1, deleted: 5 });
});

test('nothing is deleted when it is too much, until that is confirmed', async (t) => {
  const { root, keeper, pass } = await startKeeper(t, { askAboveDeletes: 1 });
  fill(root, 'a', 'b', 'c');
  await pass();
  for (const name of ['a', 'b']) rmSync(join(root, name));
  await assert.rejects(pass(), { reason: 'deletes_unconfirmed' });
  assert.match(keeper.blocked?.message ?? '', /^2 of 3 files and folders are gone/);
  assert.match(keeper.blocked?.hint ?? '', /cellar datasource resync docs --confirm-deletes$/);
  assert.deepEqual(keeper.blocked?.details, { deletes: '2', total: '3', examples: 'a\nb' });
  assert.equal((await pass({ isConfirmed: true })).deleted, 2);
  assert.equal(keeper.blocked, undefined);
});

test('moves are found wherever they go, in either direction of the walk, and ids stay', async (t) => {
  const { root, pass, data } = await startKeeper(t);
  fill(root, 'z/deep/x', 'z/deep/y', 'm/file', 'a/one', 'a/two');
  await pass();
  const idOf = async (path: string): Promise<string> => (await data.index().getNode({ path })).id;
  const ids = [await idOf('z/deep/x'), await idOf('m/file'), await idOf('a/one')];
  mkdirSync(join(root, 'b/new'), { recursive: true });
  renameSync(join(root, 'z/deep'), join(root, 'b/new/deep'));
  renameSync(join(root, 'm/file'), join(root, 'a/file'));
  renameSync(join(root, 'a/one'), join(root, 'b/new/uno'));
  const progress = await pass();
  assert.deepEqual([await idOf('b/new/deep/x'), await idOf('a/file'), await idOf('b/new/uno')], ids);
  assert.equal(progress.moved, 3);
  assert.deepEqual((await pass()).changes, []);
});

test('two names of one file are two entries, and a rename of one is a move', async (t) => {
  const { root, pass, paths, data } = await startKeeper(t);
  fill(root, 'a');
  linkSync(join(root, 'a'), join(root, 'b'));
  await pass();
  assert.deepEqual(await paths(), ['a', 'b']);
  const { id } = await data.index().getNode({ path: 'b' });
  renameSync(join(root, 'b'), join(root, 'c'));
  assert.deepEqual(changes(await pass()), ['move b > c']);
  assert.equal((await data.index().getNode({ path: 'c' })).id, id);
  linkSync(join(root, 'a'), join(root, 'd'));
  rmSync(join(root, 'a'));
  rmSync(join(root, 'c'));
  await pass();
  assert.deepEqual(await paths(), ['d']);
});

test('links and special files are counted, never followed', async (t) => {
  const { root, pass, paths, keeper } = await startKeeper(t);
  fill(root, 'real/file');
  symlinkSync('real', join(root, 'link'));
  symlinkSync('nowhere', join(root, 'broken'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  assert.deepEqual(skips(await pass()), { link: 2, special: 1 });
  await keeper.examine({ paths: ['link', 'link/file', 'broken', 'pipe'] });
  assert.deepEqual(await paths(), ['real/', 'real/file']);
});

test('names that are not UTF-8 are in the index, escaped, and change and go like others', async (t) => {
  const { root, pass, paths, keeper } = await startKeeper(t);
  const folder = Buffer.concat([Buffer.from(`${root}/d`), Buffer.from([0xff])]);
  mkdirSync(folder);
  const file = Buffer.concat([folder, Buffer.from('/f'), Buffer.from([0xc3])]);
  writeFileSync(file, 'one');
  writeFileSync(join(root, 'real ␛FF'), '');
  const progress = await pass();
  const expected = ['d␛FF/', 'd␛FF/f␛C3', 'real ␛E2␛90␛9BFF'];
  assert.deepEqual(await paths(), expected);
  assert.deepEqual([progress.escaped, progress.escapedExamples], [3, ['d␛FF', 'real ␛E2␛90␛9BFF', 'd␛FF/f␛C3']]);
  assert.deepEqual((await pass()).changes, []);
  writeFileSync(file, 'longer');
  await keeper.examine({ paths: ['d␛FF/f␛C3'] });
  assert.deepEqual((await pass()).changes, []);
  rmSync(file);
  await keeper.examine({ paths: ['d␛FF/f␛C3'] });
  assert.deepEqual(await paths(), ['d␛FF/', 'real ␛E2␛90␛9BFF']);
});

test('times beyond what can be told do no harm, nor do those of the future and the past', async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  fill(root, 'future', 'far', 'past');
  utimesSync(join(root, 'future'), 4e9, 4e9);
  utimesSync(join(root, 'far'), 1.4e10, 1.4e10);
  utimesSync(join(root, 'past'), -5e8, -5e8);
  await pass();
  assert.deepEqual(await paths(), ['far', 'future', 'past']);
  assert.deepEqual((await pass()).changes, []);
});

test('a path that is too long is left out, and nothing beside it', async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  // Each byte that is not UTF-8 takes five in its text.
  const names = Array.from({ length: 4 }, () => Buffer.alloc(250, 0xff));
  let folder = Buffer.from(root);
  for (const name of names) {
    folder = Buffer.concat([folder, Buffer.from('/'), name]);
    mkdirSync(folder);
  }
  fill(root, 'beside');
  assert.deepEqual(skips(await pass()), { 'too-long': 1 });
  assert.equal((await paths()).length, 4);
});

test('a branch is compared alone, also one that is gone', async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  fill(root, 'a/x', 'b/y');
  await pass();
  fill(root, 'a/new', 'b/new', 'c/d/new');
  assert.deepEqual(changes(await pass({ path: 'a' })), ['create a/new']);
  assert.deepEqual(await paths(), ['a/', 'a/new', 'a/x', 'b/', 'b/y']);
  await pass({ path: 'c/d' });
  assert.deepEqual((await paths()).slice(-3), ['c/', 'c/d/', 'c/d/new']);
  rmSync(join(root, 'b'), { recursive: true });
  assert.deepEqual(changes(await pass({ path: 'b' })), ['delete b (2)']);
  await assert.rejects(pass({ path: 'b' }), { code: 'not_found' });
  await assert.rejects(pass({ path: '../docs' }), { code: 'invalid_argument' });
});

test("a file and a folder take each other's place", async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  fill(root, 'a', 'b/c', 'd/e/f');
  await pass();
  for (const name of ['a', 'b', 'd']) rmSync(join(root, name), { recursive: true });
  fill(root, 'a/x', 'b', 'd/e');
  await pass();
  assert.deepEqual(await paths(), ['a/', 'a/x', 'b', 'd/', 'd/e']);
  assert.deepEqual((await pass()).changes, []);
});

test('large folders are compared in pieces: new, changed and gone files anywhere', async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  const name = (at: number): string => `f${String(at).padStart(5, '0')}`;
  fill(root, ...Array.from({ length: 2300 }, (_, at) => `big/${name(at * 2)}`));
  await pass();
  fill(root, ...[1, 2001, 4001, 4599, 4601].map((at) => `big/${name(at)}`));
  fill(root, ...Array.from({ length: 1100 }, (_, at) => `big/f00000-${at}`));
  for (const at of [0, 3000, 4000, 4598]) rmSync(join(root, 'big', name(at)));
  writeFileSync(join(root, 'big', name(2500)), 'changed');
  const { created, updated, deleted } = await pass();
  assert.deepEqual({ created, updated, deleted }, { created: 1105, updated: 1, deleted: 4 });
  assert.equal((await paths()).length, 1 + 2300 + 1105 - 4);
  assert.deepEqual((await pass()).changes, []);
});

test('a folder of buckets has no files of its own, and our folder in each bucket is no part', async (t) => {
  const { root, pass, paths, keeper } = await startKeeper(t, { kind: 'buckets' });
  fill(root, 'stray', '.cellar/tmp/x', 'one/.cellar/keys/y', 'one/file', 'one/deep/.cellar/z', 'two/');
  await pass();
  const expected = ['one/', 'one/deep/', 'one/deep/.cellar/', 'one/deep/.cellar/z', 'one/file', 'two/'];
  assert.deepEqual(await paths(), expected);
  await keeper.examine({ paths: ['stray', 'one/.cellar/keys/y', 'one/file'] });
  assert.deepEqual(await paths(), expected);
});

test('a folder that is mounted into itself is shown, and not walked', { skip: cannotMount }, async (t) => {
  const { root, pass, paths } = await startKeeper(t);
  fill(root, 'a/b/', 'a/x');
  using _mounted = mount(join(root, 'a/b'), '--bind', join(root, 'a'));
  assert.deepEqual(skips(await pass()), { loop: 1 });
  assert.deepEqual(await paths(), ['a/', 'a/b/', 'a/x']);
  assert.deepEqual(changes(await pass({ path: 'a/b' })), []);
});

test('the content of a disk that is mounted below is kept while it is away', { skip: cannotMount }, async (t) => {
  const { root, pass, paths, keeper, mounts } = await startKeeper(t);
  fill(root, 'disk/', 'beside');
  using mounted = mount(join(root, 'disk'), ...disk);
  fill(root, 'disk/a', 'disk/b/c');
  await pass();
  const all = ['beside', 'disk/', 'disk/a', 'disk/b/', 'disk/b/c'];
  assert.deepEqual(await paths(), all);
  mounted.unmount();
  assert.equal(keeper.isSame(), false);
  fill(root, 'new');
  await assert.rejects(pass(), { reason: 'mount_away' });
  assert.deepEqual(await paths(), [...all, 'new']);
  assert.match(keeper.blocked?.hint ?? '', /--confirm-deletes$/);
  // What a program writes there all the same is no sign that the disk is back.
  fill(root, 'disk/other');
  await assert.rejects(pass(), { reason: 'mount_away' });
  await keeper.examine({ paths: ['disk/a', 'disk/b'] });
  rmSync(join(root, 'disk'), { recursive: true });
  await assert.rejects(pass(), { reason: 'mount_away' });
  await keeper.examine({ paths: ['disk'] });
  assert.deepEqual(
    (await paths()).filter((path) => path.startsWith('disk')),
    all.slice(1),
  );
  await pass({ isConfirmed: true });
  assert.deepEqual(await paths(), ['beside', 'new']);
  assert.deepEqual([mounts.has('disk'), keeper.blocked], [false, undefined]);
});

test('a disk that is mounted again is as it was', { skip: cannotMount }, async (t) => {
  const { root, pass, keeper } = await startKeeper(t);
  fill(root, 'disk/');
  using mounted = mount(join(root, 'disk'), ...disk);
  fill(root, 'disk/a');
  await pass();
  mounted.unmount();
  await assert.rejects(pass(), { reason: 'mount_away' });
  using _again = mount(join(root, 'disk'), ...disk);
  fill(root, 'disk/a');
  await pass();
  assert.deepEqual([keeper.isSame(), keeper.blocked], [true, undefined]);
});

test('what was written just now is looked at once more', async (t) => {
  const fresh: string[] = [];
  const { root, pass } = await startKeeper(t, { onFresh: (path) => fresh.push(path) });
  fill(root, 'old', 'young');
  utimesSync(join(root, 'old'), 1e9, 1e9);
  await pass();
  assert.deepEqual(fresh, ['young']);
  assert.ok(lstatSync(join(root, 'young')).isFile());
});

for (const volume of [
  { ...exactVolume, ignoresCase: true, ignoresComposition: true },
  { ...exactVolume, ignoresComposition: true },
])
  test(`names are composed where a volume takes both forms for one${volume.ignoresCase ? ', and case does not matter' : ''}`, async (t) => {
    const { root, pass, paths, keeper } = await startKeeper(t, { volume });
    // This volume tells them apart, so that only what is listed can be tried here: names as such a volume gives them.
    fill(root, 'caf\u00e9', 'Plain');
    await pass();
    assert.deepEqual(await paths(), ['Plain', 'caf\u00e9']);
    await keeper.examine({ paths: ['cafe\u0301', ...(volume.ignoresCase ? ['PLAIN', 'CAF\u00c9'] : [])] });
    assert.deepEqual(await paths(), ['Plain', 'caf\u00e9']);
  });

test('a pass that is cut off anywhere is made good by the next', async (t) => {
  const { root, keeper, paths } = await startKeeper(t);
  const all = Array.from({ length: 60 }, (_, at) => `d${at % 7}/e${at % 3}/f${at}`);
  fill(root, ...all);
  for (let cut = 0; cut < 8; cut++) {
    const stopping = new AbortController();
    const progress = new PassProgress();
    const see = progress.see.bind(progress);
    progress.see = (count, escaped) => {
      see(count, escaped);
      if (progress.seen > cut * 12) stopping.abort();
    };
    await keeper
      .pass('', { progress, signal: stopping.signal })
      .catch((error: unknown) => assert.equal(Fault.from(error).code, 'canceled'));
    renameSync(join(root, `d${cut % 7}`), join(root, `moved${cut}`));
    mkdirSync(join(root, `d${cut % 7}`));
    await keeper.examine({ paths: [`moved${cut}`], areFoldersNew: true });
  }
  await keeper.pass('');
  const files = execFileSync('find', [root, '-type', 'f', '-printf', '%P\n'], { encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual((await paths()).filter((path) => !path.endsWith('/')).sort(), files.sort());
});

test('an index that is away now and then is brought up to date in the end', async (t) => {
  // One call in eight fails, always the same ones.
  let seed = 7;
  const isAway = (): boolean => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % 8 === 0;
  };
  const away = async (): Promise<never> => {
    throw unavailable('The index is away');
  };
  const data = await startDataPlatform(t, { only: [index.name] });
  const flaky = new Proxy(data.index(), {
    get: (target, name) => (name !== 'walkFolders' && isAway() ? away : Reflect.get(target, name)),
  });
  const { root, keeper, paths } = await startKeeper(t, { data, index: flaky });
  fill(root, 'a/b/c', 'a/d', 'e');
  let failures = 0;
  for (let round = 0; round < 12; round++) {
    if (round === 4) renameSync(join(root, 'a'), join(root, 'z'));
    if (round === 8) rmSync(join(root, 'e'));
    await keeper.pass('').catch((error: unknown) => {
      assert.equal(Fault.from(error).code, 'unavailable');
      failures += 1;
    });
    await keeper.examine({ paths: ['e', 'a', 'z'], areFoldersNew: true }).catch(() => undefined);
  }
  assert.ok(failures > 0 && failures < 12, `${failures} of 12 failed`);
  await until(() =>
    keeper.pass('').then(
      () => true,
      () => false,
    ),
  );
  assert.deepEqual(await paths(), ['z/', 'z/b/', 'z/b/c', 'z/d']);
});
