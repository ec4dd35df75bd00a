import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Product } from './harness.ts';
import type { signedFetch } from './signed-fetch.ts';

type S3 = ReturnType<typeof signedFetch>;

/** Contents of files by path with the datasource; absent: no such file. */
type Contents = ReadonlyMap<string, string | undefined>;

/** A request that nobody answered with success: all of it happened, or nothing. */
interface Doubt {
  readonly what: string;
  readonly after: Contents;
}

/** One client with files of its own, so that it knows what each has to hold. */
interface Client {
  readonly paths: readonly string[];
  /** One request; what it makes of the files it concerns, and how. */
  next(seq: number): { readonly what: string; readonly after: Contents; send(): Promise<boolean> };
}

/** Clients that write, rename and delete files of all sizes in all ways there are, until told to wait. */
export interface KillLoad {
  /** Requests answered with success, and those that were not. */
  readonly counts: { acknowledged: number; doubtful: number };
  resume(): void;
  /** Resolves when no request is on its way. */
  pause(): Promise<void>;
  /** MD5 in hexadecimal digits of all that was acknowledged by S3 in one request, by path. */
  readonly acknowledgedSums: ReadonlyMap<string, ReadonlySet<string>>;
  /** What is not on the disk as it has to be, in words. What was doubtful is certain afterwards. */
  check(): string[];
}

const small = 200;
const medium = 70_000;
const large = 3 * 1024 * 1024;
const partSize = 5 * 1024 * 1024;

export function startKillLoad(product: Product, s3: S3, random: () => number): KillLoad {
  const clients = [
    byS3(s3, 'docs/s3/a', random),
    byS3(s3, 'media/s3/b', random),
    byRest(product, 'media/rest/a', random),
    byRest(product, 'docs/rest', random),
    byHand(product, 'docs/outside', random),
    byHand(product, 'media/outside/deep', random),
  ];
  const known = new Map<string, string | undefined>();
  const doubts = new Map<string, Doubt>();
  const touched = new Set<string>();
  const sums = new Map<string, Set<string>>();
  const counts = { acknowledged: 0, doubtful: 0 };
  let seq = 0;
  let isPaused = true;
  let running: Promise<unknown> = Promise.resolve();

  async function work(client: Client): Promise<void> {
    while (!isPaused) {
      const { what, after, send } = client.next(++seq);
      const paths = [...after.keys()];
      // Nothing is asked of a file whose state is not known.
      if (paths.some((path) => doubts.has(path))) {
        await new Promise((done) => setTimeout(done, 5));
        continue;
      }
      for (const path of paths) touched.add(path);
      // Whatever does not hold for the state that files are in is refused and changes nothing.
      if (await send().catch(() => false)) {
        counts.acknowledged++;
        for (const [path, content] of after) {
          known.set(path, content);
          if (what === 'S3 PUT' && content !== undefined) sums.set(path, (sums.get(path) ?? new Set()).add(md5(content)));
        }
      } else {
        counts.doubtful++;
        for (const path of paths) doubts.set(path, { what, after });
        await new Promise((done) => setTimeout(done, 10));
      }
    }
  }

  function check(): string[] {
    const wrong: string[] = [];
    for (const doubt of new Set(doubts.values())) {
      const paths = [...doubt.after.keys()];
      const found = paths.map((path) => read(product, path));
      const isAfter = paths.every((path, at) => found[at] === doubt.after.get(path));
      const isBefore = paths.every((path, at) => found[at] === known.get(path));
      if (!isAfter && !isBefore)
        wrong.push(
          `${doubt.what}: ${paths.map((path, at) => `${path} was ${short(known.get(path))} and is ${short(found[at])}`)}`,
        );
      for (const [at, path] of paths.entries()) known.set(path, found[at]);
    }
    for (const path of touched) {
      const found = read(product, path);
      if (found !== known.get(path)) wrong.push(`${path} is ${short(found)} instead of ${short(known.get(path))}`);
    }
    doubts.clear();
    touched.clear();
    return wrong;
  }

  return {
    counts,
    acknowledgedSums: sums,
    resume() {
      isPaused = false;
      running = Promise.all(clients.map(work));
    },
    async pause() {
      isPaused = true;
      await running;
    },
    check,
  };
}

/** Tells contents apart at their beginning, and halves from wholes at their end. */
function contentOf(path: string, seq: number, size: number): string {
  const line = `${path} ${seq}\n`;
  return `${line.repeat(Math.ceil(size / line.length)).slice(0, size - 1)}$`;
}

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
const pick = <T>(items: readonly T[], random: () => number): T => items[Math.floor(random() * items.length)] as T;
const sizeOf = (random: () => number): number => pick([small, small, small, medium, medium, large], random);
const pathsOf = (folder: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${folder}/${at % 5}/${at}`);
async function isOk(answer: Response): Promise<boolean> {
  await answer.arrayBuffer();
  return answer.ok;
}

function byS3(s3: S3, folder: string, random: () => number): Client {
  const paths = pathsOf(folder, 40);
  async function inParts(path: string, first: string, last: string): Promise<boolean> {
    const begun = await (await s3('POST', `/${path}?uploads=`)).text();
    const id = /<UploadId>(.*)<\/UploadId>/.exec(begun)?.[1];
    const etags: string[] = [];
    for (const part of [first, last]) {
      const answer = await s3('PUT', `/${path}?partNumber=${etags.length + 1}&uploadId=${id}`, part);
      etags.push(answer.headers.get('etag') ?? '');
      if (!(await isOk(answer))) return false;
    }
    const list = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('');
    const done = await s3('POST', `/${path}?uploadId=${id}`, `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`);
    return done.ok && (await done.text()).includes('<CompleteMultipartUploadResult');
  }
  return {
    paths,
    next(seq) {
      const path = pick(paths, random);
      const dice = random();
      if (dice < 0.2)
        return { what: 'S3 DELETE', after: new Map([[path, undefined]]), send: async () => isOk(await s3('DELETE', `/${path}`)) };
      const content = contentOf(path, seq, dice < 0.23 ? partSize + small : sizeOf(random));
      const after = new Map([[path, content]]);
      if (dice < 0.23)
        return { what: 'S3 parts', after, send: () => inParts(path, content.slice(0, partSize), content.slice(partSize)) };
      return { what: 'S3 PUT', after, send: async () => isOk(await s3('PUT', `/${path}`, content)) };
    },
  };
}

function byRest(product: Product, folder: string, random: () => number): Client {
  const paths = pathsOf(folder, 40);
  const own = new Map<string, string | undefined>();
  return {
    paths,
    next(seq) {
      const path = pick(paths, random);
      const target = pick(paths, random);
      const content = own.get(path);
      const dice = random();
      /** What is not answered well is not known any more, also when nothing is answered at all. */
      const send = async (after: Contents, request: Promise<Response>): Promise<boolean> => {
        for (const at of after.keys()) own.delete(at);
        const ok = await isOk(await request);
        if (ok) for (const [at, text] of after) own.set(at, text);
        return ok;
      };
      if (dice < 0.2 && content !== undefined) {
        const after = new Map([[path, undefined]]);
        return { what: 'REST DELETE', after, send: () => send(after, product.rest('DELETE', `/api/v1/tree/${path}`)) };
      }
      if (dice < 0.4 && content !== undefined && path !== target) {
        const after = new Map([
          [path, undefined],
          [target, content],
        ] as [string, string | undefined][]);
        const json = { target, overwrite: true };
        return { what: 'REST move', after, send: () => send(after, product.rest('POST', `/api/v1/tree/${path}:move`, { json })) };
      }
      const body = contentOf(path, seq, sizeOf(random));
      const after = new Map([[path, body]]);
      return { what: 'REST PUT', after, send: () => send(after, product.rest('PUT', `/api/v1/content/${path}`, { body })) };
    },
  };
}

/** Another program, which writes to the folders as it likes. */
function byHand(product: Product, folder: string, random: () => number): Client {
  const paths = pathsOf(folder, 40);
  return {
    paths,
    next(seq) {
      const path = pick(paths, random);
      const file = fileOf(product, path);
      const dice = random();
      const content = dice < 0.3 ? undefined : contentOf(path, seq, pick([small, medium], random));
      return {
        what: 'by hand',
        after: new Map([[path, content]]),
        async send() {
          mkdirSync(dirname(file), { recursive: true });
          if (content === undefined) rmSync(file, { force: true });
          else if (dice < 0.6) writeFileSync(file, content);
          else {
            writeFileSync(`${file}.new`, content);
            renameSync(`${file}.new`, file);
          }
          // It is no faster than the others.
          await new Promise((done) => setTimeout(done, 5));
          return true;
        },
      };
    },
  };
}

function fileOf(product: Product, path: string): string {
  const [datasource = '', ...rest] = path.split('/');
  return join(product.folder(datasource), ...rest);
}

function read(product: Product, path: string): string | undefined {
  try {
    return readFileSync(fileOf(product, path), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
}

const short = (content: string | undefined): string =>
  content === undefined ? 'nothing' : `${content.length} bytes of ${JSON.stringify(content.split('\n', 1)[0])}`;

/** Every file and folder of a datasource as the disk has it, with its size. */
export function onDisk(product: Product, datasource: string): string[] {
  const root = product.folder(datasource);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path !== '.cellar' && !path.startsWith('.cellar/'))
    .map((path) => {
      const stats = statSync(join(root, path));
      return `${datasource}/${path} ${stats.isDirectory() ? '-' : stats.size}`;
    })
    .toSorted();
}

/** The same as the index has it. Errors: what the platform answers. */
export async function inIndex(product: Product, path: string): Promise<string[]> {
  const answer = await product.rest('GET', `/api/v1/tree/${path}:list?pageSize=10000`);
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  const { nodes = [] } = (await answer.json()) as { nodes?: { path: string; kind: string; sizeBytes?: string }[] };
  const lines = await Promise.all(
    nodes.map(async (node) =>
      node.kind === 'KIND_FOLDER'
        ? [`${node.path} -`, ...(await inIndex(product, node.path))]
        : [`${node.path} ${node.sizeBytes ?? 0}`],
    ),
  );
  return lines.flat().toSorted();
}
