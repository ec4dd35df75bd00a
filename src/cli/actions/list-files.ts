import { toJson } from '@bufbuild/protobuf';
import { ListNodesRequest_Order as Order } from '#gen/cellar/data/v1/index_pb.ts';
import { type Node, NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import type { CliContext } from '../command.ts';
import { formatAge, formatBytes, formatCount } from '../output/format.ts';
import { type Column, formatTable, printable } from '../output/table.ts';
import { parseRemotePath } from '../remote-path.ts';
import { isFolder, pageSize, type TreeClient, treeOf } from './tree.ts';

export interface ListOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly bytes?: boolean;
  readonly sort: 'name' | 'size' | 'time';
  readonly reverse?: boolean;
}

const orders = { name: Order.NAME, size: Order.SIZE, time: Order.TIME } as const;

/** `cellar ls`. Pages are shown as they come, so that a folder of a million files starts at once. */
export async function listFiles(context: CliContext, text: string, options: ListOptions): Promise<void> {
  const { output } = context;
  const tree = await treeOf(context);
  const path = parseRemotePath(text);
  const node = path === '' ? undefined : await tree.stat({ path }, { signal: context.signal });
  const nodes = node && !isFolder(node) ? only(node) : nodesOf(context, tree, path, options);
  const nameOf = (each: Node): string =>
    `${options.recursive ? each.path.slice(path === '' ? 0 : path.length + 1) || each.name : each.name}${isFolder(each) ? '/' : ''}`;
  const paint = (word: string, each: Node): string => (isFolder(each) ? output.style.blue(word) : word);
  const columns: Column<Node>[] = [
    {
      title: 'size',
      isNumber: true,
      value: ({ sizeBytes }) => (options.bytes ? sizeBytes.toString() : formatBytes(sizeBytes)),
    },
    { title: 'files', isNumber: true, value: (each) => (isFolder(each) ? formatCount(each.files) : '') },
    { title: 'changed', value: ({ modifyTime }) => formatAge(modifyTime, Date.now(), '') },
    { title: 'name', value: nameOf, paint },
  ];
  await output.pages(
    batches(nodes, pageSize),
    (each) => toJson(NodeSchema, each, { alwaysEmitImplicit: true }),
    (page, isFirst) =>
      options.long
        ? formatTable(page, columns, output.style, isFirst)
        : page.map((each) => paint(printable(nameOf(each)), each)).join('\n'),
  );
}

async function* only(node: Node): AsyncGenerator<Node> {
  yield node;
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

async function* nodesOf(context: CliContext, tree: TreeClient, path: string, options: ListOptions): AsyncGenerator<Node> {
  let pageToken = '';
  let isStale = false;
  do {
    const answer = await tree.list(
      { path, pageSize, pageToken, order: orders[options.sort], descending: options.reverse ?? false },
      { signal: context.signal },
    );
    isStale ||= answer.stale;
    for (const node of answer.nodes) {
      yield node;
      if (options.recursive && isFolder(node)) yield* nodesOf(context, tree, node.path, options);
    }
    pageToken = answer.nextPageToken;
  } while (pageToken);
  if (isStale) context.output.warn('the newest changes may be missing: the index is still catching up');
}
