import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Node } from '#gen/cellar/data/v1/node_pb.ts';
import { alreadyExists, Code, Fault, invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { formatBytes, formatDuration, plural } from '../output/format.ts';
import { createProgress, describeRate, type Progress, Rate } from '../output/progress.ts';
import { type CopyPath, joinRemote, parseCopyPath, showRemote } from '../remote-path.ts';
import { systemFault } from '../system-fault.ts';
import { contentOf, downloadFile } from '../transfer/download.ts';
import type { Item } from '../transfer/item.ts';
import { baseName, goesInto, isSafeName } from '../transfer/plan.ts';
import { type Outcome, runItems } from '../transfer/run-items.ts';
import { uploadFile, uploadStream } from '../transfer/upload.ts';
import { walkLocal } from '../transfer/walk-local.ts';
import { walkRemote } from '../transfer/walk-remote.ts';
import { isFolder, lookUp, type TreeClient, treeOf } from './tree.ts';

export interface CopyOptions {
  readonly recursive?: boolean;
  /** Commander's form of `--no-clobber`. */
  readonly clobber: boolean;
  readonly preserve?: boolean;
  readonly parallel: number;
}

type Remote = CopyPath & { kind: 'remote' };
type Local = CopyPath & { kind: 'local' };

/** A transfer under way: what it does, and what is told of it. */
interface Job {
  readonly context: CliContext;
  readonly tree: TreeClient;
  readonly options: CopyOptions;
  readonly meter: Meter;
}

/** `cellar cp`. */
export async function copyFiles(context: CliContext, texts: readonly string[], options: CopyOptions): Promise<void> {
  const paths = texts.map(parseCopyPath);
  const target = paths.at(-1);
  const sources = paths.slice(0, -1);
  if (!target || sources.length === 0) throw invalidArgument('Cannot copy: a source and a target are needed');
  if (target.kind === 'remote' && target.path === '') {
    throw invalidArgument('Cannot copy to the root of the server', { hint: 'Name a datasource: cellar:docs.' });
  }
  const tree = await treeOf(context);
  if (target.kind === 'stream') return await toStdout(context, tree, sources);
  using meter = new Meter(context);
  const job: Job = { context, tree, options, meter };
  const [first] = sources;
  if (first?.kind === 'stream') return await fromStdin(job, sources, target);
  const remotes = sources.filter((source) => source.kind === 'remote');
  const locals = sources.filter((source) => source.kind === 'local');
  if (remotes.length + locals.length < sources.length || (remotes.length > 0 && locals.length > 0)) {
    throw invalidArgument('Cannot copy: the sources must be all local or all remote');
  }
  if (target.kind === 'local' && locals.length > 0) {
    throw invalidArgument('Cannot copy: neither side is remote', {
      hint: 'Write "cellar:" before remote paths: cellar:docs/a.txt.',
    });
  }
  let outcome: Outcome;
  if (target.kind === 'local') outcome = await download(job, remotes, target);
  else if (locals.length > 0) outcome = await upload(job, locals, target);
  else outcome = await copyRemote(job, remotes, target);
  report(job, outcome);
}

async function upload({ context, tree, options, meter }: Job, sources: readonly Local[], target: Remote): Promise<Outcome> {
  const { signal } = context;
  const kinds = await Promise.all(sources.map(({ path }) => localKind(path)));
  const missing = sources.find((_, at) => kinds[at] === 'absent');
  if (missing) throw new Fault(Code.NotFound, `Cannot read ${missing.path}: there is no such file or folder`);
  const folder = sources.find((_, at) => kinds[at] === 'folder');
  if (folder) assertRecursive(options, folder.path);
  const found = await lookUp(tree, target.path, signal);
  const into = goesInto(
    {
      kind: found ? (isFolder(found) ? 'folder' : 'file') : 'absent',
      isFolderWritten: target.isFolder,
      shown: showRemote(target.path),
    },
    { count: sources.length, hasFolder: folder !== undefined },
  );
  const walk = async function* (): AsyncGenerator<Item> {
    for (const { path } of sources) yield* walkLocal(path, into ? joinRemote(target.path, baseName(path)) : target.path, signal);
  };
  meter.expect(walk());
  return await runItems(walk(), {
    parallel: options.parallel,
    signal,
    copy: async (item) => {
      if (item.kind === 'folder') {
        await tree.makeFolder({ path: item.to }, { signal });
        return;
      }
      await meter.file(async (onBytes) => {
        const { from, to, size } = item;
        await keepExisting(uploadFile(tree, from, { to, size, isNew: !options.clobber, signal, onBytes }), options);
      });
    },
  });
}

async function download({ context, tree, options, meter }: Job, sources: readonly Remote[], target: Local): Promise<Outcome> {
  const { signal } = context;
  const nodes = await Promise.all(sources.map(({ path }) => tree.stat({ path }, { signal })));
  const folder = nodes.find(isFolder);
  if (folder) assertRecursive(options, showRemote(folder.path));
  const into = goesInto(
    { kind: await localKind(target.path), isFolderWritten: target.isFolder, shown: target.path },
    { count: sources.length, hasFolder: folder !== undefined },
  );
  const placeOf = (node: Node): string => {
    if (into && node.name !== '' && !isSafeName(node.name)) throw invalidArgument(`Cannot name a local file "${node.name}"`);
    return into ? join(target.path, node.name) : target.path;
  };
  const walk = async function* (): AsyncGenerator<Item> {
    for (const node of nodes) yield* walkRemote(tree, node, placeOf(node), signal);
  };
  meter.know(
    nodes.reduce((sum, node) => sum + (isFolder(node) ? Number(node.files) : 1), 0),
    nodes.reduce((sum, node) => sum + Number(node.sizeBytes), 0),
  );
  return await runItems(walk(), {
    parallel: options.parallel,
    signal,
    copy: async (item) => {
      if (item.kind === 'folder') {
        await mkdir(item.to, { recursive: true }).catch((error) => {
          throw systemFault('make the folder', item.to, error);
        });
        return;
      }
      await meter.file(async (onBytes) => {
        const { from, to } = item;
        const modifyMs = options.preserve ? item.modifyMs : undefined;
        if (!options.clobber && (await localKind(to)) !== 'absent') throw skipped(to);
        await keepExisting(downloadFile(tree, from, { to, isNew: !options.clobber, modifyMs, signal, onBytes }), options);
      });
    },
  });
}

/** Between remote paths the server copies by itself; folders too. */
async function copyRemote({ context, tree, options, meter }: Job, sources: readonly Remote[], target: Remote): Promise<Outcome> {
  const { signal } = context;
  const nodes = await Promise.all(sources.map(({ path }) => tree.stat({ path }, { signal })));
  const folder = nodes.find(isFolder);
  if (folder) assertRecursive(options, showRemote(folder.path));
  const found = await lookUp(tree, target.path, signal);
  const into = goesInto(
    {
      kind: found ? (isFolder(found) ? 'folder' : 'file') : 'absent',
      isFolderWritten: target.isFolder,
      shown: showRemote(target.path),
    },
    { count: sources.length, hasFolder: folder !== undefined },
  );
  const items = async function* (): AsyncGenerator<Item> {
    for (const node of nodes) {
      const to = into ? joinRemote(target.path, node.name) : target.path;
      yield { kind: 'file', from: node.path, to, size: Number(node.sizeBytes), modifyMs: 0 };
    }
  };
  meter.know(
    nodes.length,
    nodes.reduce((sum, node) => sum + Number(node.sizeBytes), 0),
  );
  return await runItems(items(), {
    parallel: options.parallel,
    signal,
    copy: async (item) => {
      await meter.file(async (onBytes) => {
        await keepExisting(tree.copy({ path: item.from, target: item.to, overwrite: options.clobber }, { signal }), options);
        onBytes(item.kind === 'file' ? item.size : 0);
      });
    },
  });
}

async function toStdout(context: CliContext, tree: TreeClient, sources: readonly CopyPath[]): Promise<void> {
  const [source] = sources;
  if (sources.length !== 1 || source?.kind !== 'remote') throw invalidArgument('Cannot copy to "-": it takes one remote file');
  for await (const data of contentOf(tree, source.path, context.signal)) await context.output.write(data);
}

async function fromStdin(job: Job, sources: readonly CopyPath[], target: CopyPath): Promise<void> {
  const { context, tree, options, meter } = job;
  if (sources.length !== 1 || target.kind !== 'remote' || target.isFolder) {
    throw invalidArgument('Cannot copy from "-": it takes one remote file as its target', {
      hint: 'Name the file: cellar:docs/name.',
    });
  }
  if (context.input.isTTY) throw invalidArgument('Cannot copy from "-": nothing is piped in');
  const found = await lookUp(tree, target.path, context.signal);
  if (found && isFolder(found)) {
    throw invalidArgument(`Cannot copy from "-" to ${showRemote(target.path)}: it is a folder`, { hint: 'Name the file in it.' });
  }
  const { signal } = context;
  await meter.file((onBytes) => uploadStream(tree, context.input, { to: target.path, isNew: !options.clobber, signal, onBytes }));
  report(job, { files: 1, folders: 0, skipped: [], failed: [] });
}

function report({ context, meter }: Job, outcome: Outcome): void {
  const { output } = context;
  const { files, folders, skipped: left, failed } = outcome;
  meter[Symbol.dispose]();
  // One thing asked for, one thing wrong: that is the error of the command.
  const [only] = failed;
  if (only && failed.length === 1 && files + folders + left.length === 0) throw only.fault;
  for (const { path, why } of left) output.message(`left out: ${path}: ${why}`);
  if (!output.isJson) for (const { path, fault } of failed) output.warn(`${path}: ${fault.message}`);
  output.message(
    `Copied ${plural(files, 'file')}, ${formatBytes(meter.bytes)} in ${formatDuration(meter.elapsedMs)}` +
      `${meter.elapsedMs > 0 ? ` (${formatBytes((meter.bytes * 1000) / meter.elapsedMs)}/s)` : ''}` +
      `${failed.length > 0 ? `; ${plural(failed.length, 'failure')}` : ''}.`,
  );
  if (failed.length > 0) context.exitCode = Exit.Failed;
  if (!output.isJson) return;
  const failures = failed.map(({ path, fault: { code, message } }) => ({ path, code, message }));
  output.result(
    { files, folders, bytes: meter.bytes, seconds: meter.elapsedMs / 1000, skipped: left, failed: failures },
    () => '',
  );
}

/** With `--no-clobber` a file in the way is no failure. */
async function keepExisting(copy: Promise<unknown>, options: CopyOptions): Promise<void> {
  try {
    await copy;
  } catch (error) {
    if (!options.clobber && error instanceof Fault && error.code === Code.AlreadyExists) throw skipped('it');
    throw error;
  }
}

function skipped(what: string): Fault {
  return alreadyExists(`${what} exists already`, { reason: 'exists_already' });
}

function assertRecursive(options: CopyOptions, path: string): void {
  if (!options.recursive)
    throw invalidArgument(`Cannot copy ${path}: it is a folder`, { hint: 'Add -r to copy everything in it.' });
}

async function localKind(path: string): Promise<'file' | 'folder' | 'absent'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const fault = systemFault('read', path, error);
    if (fault.code === Code.NotFound) return 'absent';
    throw fault;
  }
}

/** Counts what is done and draws it. */
class Meter implements Disposable {
  bytes = 0;
  #files = 0;
  #expected: { files: number; bytes: number } | undefined;
  readonly #startMs = performance.now();
  readonly #rate = new Rate(() => performance.now());
  readonly #progress: Progress;
  readonly #isShown: boolean;

  constructor(context: CliContext) {
    this.#isShown = context.output.hasProgress;
    this.#progress = createProgress(context.output, 'Copying');
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  know(files: number, bytes: number): void {
    this.#expected = { files, bytes };
  }

  /** Counts ahead, for the bar only; what cannot be read is told by the copy itself. */
  expect(items: AsyncIterable<Item>): void {
    if (!this.#isShown) return;
    const count = async (): Promise<void> => {
      const sum = { files: 0, bytes: 0 };
      for await (const item of items) {
        if (item.kind !== 'file') continue;
        sum.files++;
        sum.bytes += item.size;
      }
      this.#expected = sum;
    };
    count().catch(() => undefined);
  }

  /** Runs one file's copy; bytes of one that fails are taken back. */
  async file(copy: (onBytes: (count: number) => void) => Promise<unknown>): Promise<void> {
    let own = 0;
    try {
      await copy((count) => {
        own += count;
        this.bytes += count;
        this.#draw();
      });
      this.#files++;
      this.#draw();
    } catch (error) {
      this.bytes -= own;
      throw error;
    }
  }

  #draw(): void {
    if (!this.#isShown) return;
    const expected = this.#expected;
    const left = expected ? Math.max(0, expected.bytes - this.bytes) : undefined;
    const files = expected ? `${this.#files} of ${plural(expected.files, 'file')}` : plural(this.#files, 'file');
    this.#progress.set({
      done: expected && expected.bytes === 0 ? this.#files : this.bytes,
      total: expected && (expected.bytes || expected.files),
      text: `${files}, ${formatBytes(this.bytes)}, ${describeRate(this.#rate.add(this.bytes), left)}`,
    });
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }
}
