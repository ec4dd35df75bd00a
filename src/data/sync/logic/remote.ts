import type { ListObjectsResponse, Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { modifyTimeUs } from '#lib/file-etag.ts';
import type { TreeEntry } from './entry.ts';
import { mergeWalks } from './merge.ts';
import { type ListedObject, remoteEntries } from './remote-entries.ts';
import type { CompareOptions, Difference, KnownWalks, Mounts, Root, Seen, Storage } from './storage.ts';

export interface RemoteOptions {
  /** Of the service that speaks to the other server. */
  readonly objects: Client<typeof Objects>;
  /** As that service names it. */
  readonly bucket: string;
}

/** So many paths are asked for at a time. */
const looksMax = 8;
const top: TreeEntry = { path: '', isFolder: true, sizeBytes: 0, mtimeUs: 0, inode: 0 };
const noMounts: Mounts = { lostAt: () => [], areThere: () => true, forgetWithin: () => undefined };

/** A datasource that is a bucket of another server, or what lies below a prefix in it. Errors: those of the objects service. */
export class Remote implements Storage {
  readonly place: string;
  readonly root: Root;
  readonly mounts = noMounts;
  readonly #options: RemoteOptions;

  constructor(options: RemoteOptions) {
    this.place = `the bucket of ${options.bucket}`;
    this.#options = options;
    this.root = {
      see: () => top,
      // A server that cannot be reached answers with an error, never with an empty bucket.
      isSame: () => true,
      take: () => false,
      isEmpty: async () => (await this.#first('')) === undefined,
      state: async () => '',
    };
  }

  async look(paths: readonly string[]): Promise<Seen[]> {
    const seen: Seen[] = [];
    for (let at = 0; at < paths.length; at += looksMax)
      seen.push(...(await Promise.all(paths.slice(at, at + looksMax).map((path) => this.#look(path)))));
    return seen;
  }

  spell(path: string): string {
    return path;
  }

  async *compare(folder: string, known: KnownWalks, options: CompareOptions): AsyncIterable<readonly Difference[]> {
    const { epoch, onSeen, onSkip, signal } = options;
    const storage = remoteEntries({
      objects: this.#list(folder === '' ? '' : `${folder}/`, signal),
      isFolder: (path) => this.#isFolder(path),
      ...{ onSkip, epoch },
    });
    const inside = below(storage, folder);
    for await (const one of mergeWalks({
      storage: inside,
      index: known.entries(folder, signal),
      onSeen: (count) => onSeen(count, []),
    }))
      yield [one];
  }

  async #look(path: string): Promise<Seen> {
    if (path === '') return top;
    if (await this.#isFolder(path)) return { ...top, path };
    const first = await this.#first(path);
    return first?.key === path ? toFile(path, first) : 'nothing';
  }

  async #isFolder(path: string): Promise<boolean> {
    return (await this.#first(`${path}/`)) !== undefined;
  }

  /** The first object whose key begins with a prefix. */
  async #first(prefix: string): Promise<ListedObject | undefined> {
    for await (const { objects } of this.#options.objects.listObjects({ bucket: this.#options.bucket, prefix }))
      if (objects[0]) return toListed(objects[0]);
    return undefined;
  }

  async *#list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly ListedObject[]> {
    const { objects, bucket } = this.#options;
    for await (const { objects: listed } of objects.listObjects({ bucket, prefix }, { signal })) yield listed.map(toListed);
  }
}

/** A comparison is of what lies in a folder; the folder and those around it are told by whoever asked for it. */
async function* below<T extends TreeEntry>(pieces: AsyncIterable<readonly T[]>, folder: string): AsyncGenerator<readonly T[]> {
  for await (const piece of pieces) yield folder === '' ? piece : piece.filter(({ path }) => path.startsWith(`${folder}/`));
}

function toFile(path: string, { sizeBytes, mtimeUs, etag }: ListedObject): TreeEntry {
  return { path, isFolder: false, sizeBytes, mtimeUs, inode: 0, etag };
}

function toListed({ key, sizeBytes, modifyTimeNs, etag }: ListObjectsResponse['objects'][number]): ListedObject {
  return { key, sizeBytes: Number(sizeBytes), mtimeUs: modifyTimeUs({ mtimeNs: modifyTimeNs }), etag };
}
