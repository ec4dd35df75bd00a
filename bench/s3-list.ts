import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeObjects, openObjects, startObjectsServer } from './objects-parts.ts';
import { isQuick, median, report } from './report.ts';
import { createPageReader, type Page } from './s3-pages.ts';

/*
 * Listing buckets: a million keys in a thousand folders, a hundred thousand keys in one folder, and a hundred thousand folders with a key
 * in each; by the backend itself, and over HTTP by a server in a process of its own. Server and client
 * may use a core each; the client asks for the next page when it has read the one before, and looks for no more in a page than where it
 * ends (`s3-pages.ts`).
 */
const total = isQuick ? 100_000 : 1_000_000;
const groups = total / 10;
const perFolder = 1_000;
const runs = isQuick ? 3 : 5;
const limit = 1_000;

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-list-')));
const buckets = join(parent, 'buckets');
const url = `sqlite:${join(parent, 'objects.db')}`;
mkdirSync(buckets);
const { backend, store, database } = await openObjects(buckets, url);

const pad = (number: number): string => String(number).padStart(7, '0');
function* many(): Generator<string> {
  for (let at = 0; at < total; at++) yield `folder-${pad(Math.floor(at / perFolder))}/file-${pad(at)}.txt`;
}
function* flat(): Generator<string> {
  for (let at = 0; at < groups; at++) yield `file-${pad(at)}.txt`;
}
function* grouped(): Generator<string> {
  for (let at = 0; at < groups; at++) yield `group-${pad(at)}/file.txt`;
}
for (const bucket of ['many', 'flat', 'grouped']) mkdirSync(join(buckets, bucket));
await makeObjects(buckets, 'many', store, many());
await makeObjects(buckets, 'flat', store, flat());
await makeObjects(buckets, 'grouped', store, grouped());
// Names are remembered only of folders that have been at rest.
await new Promise((resolve) => setTimeout(resolve, 200));

/** One page of a bucket after a key. */
type Lister = (bucket: string, after: string, delimiter: string) => Promise<Pick<Page, 'count' | 'next'>>;

async function whole(
  list: Lister,
  bucket: string,
  delimiter = '',
): Promise<{ readonly keys: number; readonly slowestMs: number }> {
  let keys = 0;
  let slowestMs = 0;
  for (let after: string | undefined = ''; after !== undefined; ) {
    const startMs = performance.now();
    const page = await list(bucket, after, delimiter);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    keys += page.count;
    after = page.next;
  }
  return { keys, slowestMs };
}

async function pageMs(list: Lister, bucket: string, after: string, delimiter = ''): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const startMs = performance.now();
    const { count } = await list(bucket, after, delimiter);
    times.push(performance.now() - startMs);
    if (count !== limit) throw new Error(`A page has ${count} entries`);
  }
  return median(times);
}

async function rate(list: Lister, bucket: string, expected: number): Promise<number> {
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    const startMs = performance.now();
    const { keys } = await whole(list, bucket);
    if (keys !== expected) throw new Error(`Bucket ${bucket} was listed with ${keys} keys`);
    rates.push(keys / ((performance.now() - startMs) / 1000));
  }
  return Math.round(median(rates));
}

/** That the pages have what they say they have: every key once, in order. */
async function assertWhole(): Promise<void> {
  const wanted = flat();
  for (let after: string | undefined = ''; after !== undefined; ) {
    const { next, bytes } = await reader.read('flat', after, '');
    for (const [, key] of bytes.toString().matchAll(/<Contents><Key>([^<]*)</g)) {
      const { value } = wanted.next();
      if (key !== value) throw new Error(`Key ${key} was listed in place of ${value}`);
    }
    after = next;
  }
  if (!wanted.next().done) throw new Error('Keys were left out');
}

const rounded = (value: number): number => Math.round(value * 10) / 10;

/** `cpuUs`: processor time that the listing side has used so far, in microseconds. */
async function measure(name: string, list: Lister, cpuUs: () => number) {
  const middle = `folder-${pad(total / perFolder / 2)}/file-${pad(total / 2)}`;
  // Code that runs for the first time is compiled first, which is no part of a page.
  await whole(list, 'flat');
  const firstMs = await pageMs(list, 'many', '');
  const middleMs = await pageMs(list, 'many', middle);
  const beforeUs = cpuUs();
  const keysPerSecond = await rate(list, 'many', total);
  const cpuUsPerKey = (cpuUs() - beforeUs) / (runs * total);
  const flatPerSecond = await rate(list, 'flat', groups);
  const flatMiddleMs = await pageMs(list, 'flat', `file-${pad(groups / 2)}`);
  const groupMs = await pageMs(list, 'grouped', '', '/');
  const groupMiddleMs = await pageMs(list, 'grouped', `group-${pad(groups / 2)}/`, '/');
  const { keys, slowestMs } = await whole(list, 'grouped', '/');
  if (keys !== groups) throw new Error(`There are ${keys} groups`);
  return {
    row: [
      name,
      keysPerSecond,
      ...[cpuUsPerKey, firstMs, middleMs].map(rounded),
      flatPerSecond,
      ...[flatMiddleMs, groupMs, groupMiddleMs, slowestMs].map(rounded),
    ],
    ...{ keysPerSecond, firstMs, middleMs, groupMs: Math.max(groupMs, groupMiddleMs) },
  };
}

const listDirectly: Lister = async (bucket, after, delimiter) => {
  const { objects, commonPrefixes, next } = await backend.list(bucket, { prefix: '', delimiter, after, limit });
  return { count: objects.length + commonPrefixes.length, next };
};
const direct = await measure('backend', listDirectly, () => process.cpuUsage().user + process.cpuUsage().system);
await database.close();

const server = await startObjectsServer(buckets, url);
const reader = createPageReader(server.port);
await assertWhole();
const overHttp = await measure('HTTP', reader.read, server.cpuUs);
reader.close();
await server.stop();
rmSync(parent, { recursive: true, force: true });

const fullListing = (what: string, measured: number) => ({
  ...{ what, target: '>= 150 000', measured, holds: measured >= 150_000 },
});
const below = (what: string, measured: number, most: number) => ({
  ...{ what, target: `< ${most}`, measured: rounded(measured), holds: measured < most },
});
report('s3-list', {
  columns: [
    ...[
      'through',
      `${total} keys, keys/s`,
      'processor time, us/key',
      'first page, ms',
      'page at the middle, ms',
      `${groups} keys in one folder, keys/s`,
    ],
    ...['page at the middle, ms', `${groups} groups, first page, ms`, 'page at the middle, ms', 'slowest page, ms'],
  ],
  rows: [direct.row, overHttp.row],
  claims: [
    fullListing(`listing a bucket of ${total} keys, keys/s`, direct.keysPerSecond),
    fullListing('the same over HTTP, its pages one after another, keys/s', overHttp.keysPerSecond),
    below('its first page, ms', direct.firstMs, 20),
    below('its page at the middle, ms', direct.middleMs, 20),
    below(`a page of ${groups} groups, ms`, direct.groupMs, 50),
    below('its first page over HTTP, ms', overHttp.firstMs, 20),
    below('its page at the middle over HTTP, ms', overHttp.middleMs, 20),
    below(`a page of ${groups} groups over HTTP, ms`, overHttp.groupMs, 50),
  ],
});
