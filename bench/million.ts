import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Product, startProduct, waitUntil } from '../acceptance/harness.ts';
import { isQuick, median, report } from './report.ts';

/*
 * A platform that runs as users run it, over a folder of a million files: 100,000 in one folder, the others in folders of 200. What people
 * do with it, through REST and the command. `BENCH_FILES` makes it another number.
 */
const total = Number(process.env['BENCH_FILES'] ?? (isQuick ? 50_000 : 1_000_000));
const flat = total / 10;
const perFolder = 200;
const patienceMs = 1_800_000;

interface Service {
  readonly name: string;
  readonly memoryBytes: string;
}

const rows: (string | number)[][] = [];
const memory = new Map<string, Map<string, number>>();
const note = (what: string, value: number, unit: string, detail = ''): void => {
  rows.push([what, value, unit, detail]);
  console.log(`${what}: ${Math.round(value * 100) / 100} ${unit} ${detail}`);
};

/** Files below `root`, made as fast as one process can. */
function makeFiles(root: string): void {
  mkdirSync(join(root, 'flat'));
  for (let at = 0; at < flat; at++) makeFile(join(root, 'flat', `file-${String(at).padStart(7, '0')}.txt`));
  for (let folder = 0; folder * perFolder < total - flat; folder++) {
    const path = join(root, 'many', String(folder % 50), String(folder));
    mkdirSync(path, { recursive: true });
    for (let at = 0; at < perFolder; at++) makeFile(join(path, `${at}.txt`));
  }
}

const makeFile = (path: string): void => closeSync(openSync(path, 'w'));

async function timed(what: string, task: () => Promise<unknown>, detail = ''): Promise<void> {
  const startMs = performance.now();
  await task();
  note(what, performance.now() - startMs, 'ms', detail);
}

/** The middle of some answers, after a first one that warms up. */
async function asked(product: Product, what: string, path: string): Promise<void> {
  const times: number[] = [];
  for (let run = 0; run < 6; run++) {
    const startMs = performance.now();
    await ask(product, path);
    times.push(performance.now() - startMs);
  }
  note(what, median(times.slice(1)), 'ms', `first ${Math.round(times[0] ?? 0)} ms`);
}

async function ask<T>(product: Product, path: string): Promise<T> {
  const answer = await product.rest('GET', path);
  if (!answer.ok) throw new Error(`GET ${path} was answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

const count = async (product: Product): Promise<number> =>
  Number((await ask<{ files?: string }>(product, '/api/v1/tree/docs')).files ?? 0);

async function remember(product: Product, when: string): Promise<void> {
  const { services } = await ask<{ services: readonly Service[] }>(product, '/api/v1/services');
  const sizes = services.filter(({ name }) => /\.docs$|local1$|gateway/.test(name));
  memory.set(when, new Map(sizes.map(({ name, memoryBytes }) => [name, Number(memoryBytes) / 2 ** 20])));
}

async function resync(product: Product, what: string): Promise<void> {
  await timed(what, async () => {
    const { exitCode, stderr } = await product.cliWith({ timeoutMs: patienceMs }, 'datasource', 'resync', 'docs');
    if (exitCode !== 0) throw new Error(`resync ended with ${exitCode}: ${stderr}`);
  });
}

/** Creates, changes, renames and removes 1,000 files, as somebody else. */
function disturb(root: string, round: number): void {
  const of = (at: number): string =>
    join(root, 'many', String(at % 50), String(at % 200), `${round * 2 + Math.floor(at / 200)}.txt`);
  for (let at = 0; at < 250; at++) {
    makeFile(`${of(at)}-new`);
    writeFileSync(of(at), 'changed');
    renameSync(join(root, 'flat', nameOf(round * 1000 + at)), join(root, `renamed-${round}-${at}`));
    rmSync(join(root, 'flat', nameOf(round * 1000 + 500 + at)));
  }
}

const nameOf = (at: number): string => `file-${String(at).padStart(7, '0')}.txt`;

await using product = await startProduct({ datasources: ['docs'] });
await remember(product, 'idle');
await product.stop();
const root = product.folder('docs');
const filesMs = performance.now();
makeFiles(root);
console.log(`${total} files made in ${Math.round(performance.now() - filesMs)} ms`);

await timed(
  'first pass, with the start',
  async () => {
    await product.start();
    let seen = 0;
    await waitUntil(
      async () => {
        const now = await count(product);
        if (now - seen >= total / 10) {
          seen = now;
          const { stdout } = await product.cli('datasource', 'list');
          console.log(
            `  ${now} files; the list of datasources: ${stdout.split('\n').find((line) => line.startsWith('docs')) ?? ''}`,
          );
        }
        return now === total;
      },
      patienceMs,
      () => product.logs(),
    );
  },
  `${total} files`,
);
await remember(product, 'after the first pass');

const tree = '/api/v1/tree/docs';
await asked(product, 'list the root', `${tree}:list`);
await asked(product, 'list a folder of 200, three below', `${tree}/many/7/57:list`);
await asked(product, 'page of 1,000 of the large folder', `${tree}/flat:list?pageSize=1000`);
await asked(product, 'the same by size, largest first', `${tree}/flat:list?pageSize=1000&order=ORDER_SIZE&descending=true`);
await asked(product, 'totals of everything', tree);
await asked(product, 'one file, three below', `${tree}/many/7/57/7.txt`);
const pages: number[] = [];
for (let pageToken = ''; ; ) {
  const startMs = performance.now();
  const query = `pageSize=1000${pageToken ? `&pageToken=${encodeURIComponent(pageToken)}` : ''}`;
  const page = await ask<{ nextPageToken?: string }>(product, `${tree}/flat:list?${query}`);
  pages.push(performance.now() - startMs);
  pageToken = page.nextPageToken ?? '';
  if (!pageToken) break;
}
note('each of all pages of it', median(pages), 'ms', `${pages.length} pages, slowest ${Math.round(Math.max(...pages))} ms`);

await timed(
  'rename the top folder',
  async () => {
    const answer = await product.rest('POST', `${tree}/many:move`, {
      json: { target: 'docs/renamed' },
      signal: AbortSignal.timeout(patienceMs),
    });
    if (!answer.ok) throw new Error(await answer.text());
    await ask(product, `${tree}/renamed/7/57/7.txt`);
  },
  `${total - flat} files below`,
);
await product.rest('POST', `${tree}/renamed:move`, { json: { target: 'docs/many' } });
await resync(product, 'full pass, nothing changed');
await remember(product, 'after a full pass');

const expected = await count(product);
await timed(
  '1,000 outside changes, seen',
  async () => {
    disturb(root, 1);
    await waitUntil(async () => (await count(product)) === expected, patienceMs);
    await waitUntil(async () => (await product.rest('GET', `${tree}/renamed-1-249`)).ok, patienceMs);
    await waitUntil(async () => (await product.rest('GET', `${tree}/flat/${nameOf(1749)}`)).status === 404, patienceMs);
  },
  'by notifications',
);
await resync(product, 'full pass after them');
await product.stop();
disturb(root, 2);
await timed(
  '1,000 outside changes while stopped',
  async () => {
    await product.start();
    await waitUntil(async () => (await product.rest('GET', `${tree}/renamed-2-249`)).ok, patienceMs);
    await waitUntil(async () => (await product.rest('GET', `${tree}/flat/${nameOf(2749)}`)).status === 404, patienceMs);
  },
  'from the start to the last',
);
await remember(product, 'at the end');

for (const [when, sizes] of memory) for (const [name, size] of sizes) note(`memory ${when}`, size, 'MiB', name);
report('million', { columns: ['what', 'value', 'unit', 'detail'], rows });
