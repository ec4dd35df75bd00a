import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import type { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { type DataPlatform, startDataPlatform } from '../testing/data-platform.ts';

const upload = (data: DataPlatform, path: string, text: string, ifAbsent = false) =>
  data.tree.upload(
    (async function* () {
      yield { path, ifAbsent };
      yield { content: { data: Buffer.from(text) } };
    })(),
  );

const put = (data: DataPlatform, key: string, text: string) =>
  data.objects.putObject(
    (async function* () {
      yield { target: { bucket: 'docs', key } };
      yield { data: Buffer.from(text) };
    })(),
  );

const names = async (data: DataPlatform, path: string): Promise<string[]> => {
  const { nodes, stale } = await data.tree.list({ path });
  assert.equal(stale, false);
  return nodes.map(({ name }) => name);
};

/** Asserts what the index tells, as `kind path` in any order, since the last time; and that it tells nothing more. */
async function startEvents(data: DataPlatform): Promise<(wanted: readonly string[]) => Promise<void>> {
  let position = 0n;
  let count = 0;
  const read = async (): Promise<string[]> => {
    const { events } = await data
      .streams('cellar.grpc.data.index.docs')
      .read({ stream: 'nodes', after: position, limit: 10_000 });
    return events
      .map(({ type, payload }) => `${type.replace('node.', '')} ${fromBinary(NodeEventSchema, payload).node?.path}`)
      .filter((line) => !line.includes('mark-'))
      .toSorted();
  };
  return async (wanted) => {
    const last = position;
    await until(async () => (await read()).length >= wanted.length, 10_000).catch(() => undefined);
    // What is told twice is told again when the notifications so far have been heard, and they come in order.
    const mark = `mark-${++count}`;
    writeFileSync(join(data.folder(), mark), '');
    await until(async () => (await data.index().findEntries({ paths: [mark] })).found[0]?.entry !== undefined, 10_000);
    const found = await read();
    const { events } = await data.streams('cellar.grpc.data.index.docs').read({ stream: 'nodes', after: last, limit: 10_000 });
    position = events.at(-1)?.position ?? last;
    assert.deepEqual(found, wanted.toSorted());
  };
}

test('exactly one event per change, none twice, whoever makes it', async (t) => {
  const data = await startDataPlatform(t);
  const folder = data.folder();
  const events = await startEvents(data);
  const of = (kind: string, who: string): string[] => Array.from({ length: 100 }, (_, at) => `${kind} docs/${who}-${at}`);
  const each = (change: (at: number) => unknown) => Promise.all(Array.from({ length: 100 }, (_, at) => change(at)));
  await events([]);

  await each((at) => Promise.all([put(data, `s3-${at}`, 'a'), upload(data, `docs/tree-${at}`, 'a')]));
  await each((at) => writeFileSync(join(folder, `hand-${at}`), 'a'));
  await events([...of('created', 's3'), ...of('created', 'tree'), ...of('created', 'hand')]);

  await each((at) => Promise.all([put(data, `s3-${at}`, 'other'), upload(data, `docs/tree-${at}`, 'other')]));
  await each((at) => writeFileSync(join(folder, `hand-${at}`), 'other'));
  await events([...of('updated', 's3'), ...of('updated', 'tree'), ...of('updated', 'hand')]);

  await each((at) => data.tree.move({ path: `docs/tree-${at}`, target: `docs/moved-${at}` }));
  await each((at) => renameSync(join(folder, `hand-${at}`), join(folder, `renamed-${at}`)));
  await events([...of('moved', 'moved'), ...of('moved', 'renamed')]);

  await each((at) =>
    Promise.all([data.objects.deletePath({ bucket: 'docs', key: `s3-${at}` }), data.tree.delete({ path: `docs/moved-${at}` })]),
  );
  // More at once would have to be confirmed.
  for (let at = 0; at < 20; at++) rmSync(join(folder, `renamed-${at}`));
  await events([...of('deleted', 's3'), ...of('deleted', 'moved'), ...of('deleted', 'renamed').slice(0, 20)]);
});

test('everybody reads their own writes at once, with many writing', async (t) => {
  const data = await startDataPlatform(t);
  // Folders that nobody asked for would go with their last file.
  for (let at = 0; at < 4; at++) await data.tree.makeFolder({ path: `docs/client-${at}` });
  await Promise.all(
    Array.from({ length: 16 }, async (_, client) => {
      const folder = `docs/client-${client % 4}`;
      for (let at = 0; at < 12; at++) {
        const name = `${client}-${at}`;
        if (at % 2 === 0) await put(data, `client-${client % 4}/${name}`, name);
        else await upload(data, `${folder}/${name}`, name);
        assert.ok((await names(data, folder)).includes(name), `${name} is not listed`);
        if (at % 3 !== 0) continue;
        await data.tree.move({ path: `${folder}/${name}`, target: `${folder}/${name}-moved` });
        const listed = await names(data, folder);
        assert.ok(listed.includes(`${name}-moved`) && !listed.includes(name), `${name} is not moved`);
        await data.tree.delete({ path: `${folder}/${name}-moved` });
        assert.ok(!(await names(data, folder)).includes(`${name}-moved`), `${name} is still listed`);
      }
    }),
  );
});

test('of 64 who want to be first, one is', async (t) => {
  const data = await startDataPlatform(t);
  const answers = await Promise.allSettled(Array.from({ length: 64 }, (_, at) => upload(data, 'docs/first', `${at}`, true)));
  const winners = answers.flatMap(({ status }, at) => (status === 'fulfilled' ? [`${at}`] : []));
  for (const answer of answers) if (answer.status === 'rejected') assert.equal((answer.reason as Fault).code, 'already_exists');
  assert.equal(winners.length, 1);
  assert.equal(readFileSync(join(data.folder(), 'first'), 'utf8'), winners[0]);
});
