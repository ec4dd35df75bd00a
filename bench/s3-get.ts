/** How fast small objects are read over S3: our handler and folder backend, beside a bare server that checks the same signatures. */

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createS3Client } from '../src/s3/testing/client.ts';
import { benchCredentials } from './objects-parts.ts';
import { isQuick, median, report } from './report.ts';
import { pinned, startPinned } from './s3-servers.ts';

const runs = isQuick ? 3 : 7;
const runMs = isQuick ? 1_000 : 4_000;
const connections = 32;
const objects = 1_000;
const sizeBytes = 4_096;

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-get-')));
const buckets = join(parent, 'buckets');
mkdirSync(join(buckets, 'bench'), { recursive: true });
const cellar = await startPinned('objects-server.ts', [buckets, `sqlite:${join(parent, 'objects.db')}`]);
const bare = await startPinned('s3-bare-server.ts', [buckets]);
try {
  const client = createS3Client(`http://127.0.0.1:${cellar.port}`, benchCredentials);
  const body = Buffer.alloc(sizeBytes, 'cellar');
  for (let at = 0; at < objects; at++) {
    const { status, text } = await client.send('PUT', `/bench/object-${at}`, { body });
    if (status !== 200) throw new Error(text);
  }
  const load = async (port: number, ms: number): Promise<number> => {
    const args = [join(import.meta.dirname, 's3-load.ts'), port, connections, ms, objects].map(String);
    const [program = '', ...rest] = pinned(1, [process.execPath, ...args]);
    const { stdout } = await promisify(execFile)(program, rest);
    return (JSON.parse(stdout) as { perSecond: number }).perSecond;
  };
  const servers = { 'bare server': bare, cellar };
  const names = ['bare server', 'cellar'] as const;
  const rates = { 'bare server': [] as number[], cellar: [] as number[] };
  const cpu = { 'bare server': [] as number[], cellar: [] as number[] };
  for (const { port } of [bare, cellar]) await load(port, runMs / 2);
  // In turns: what else the machine does hits both.
  for (let run = 0; run < runs; run++)
    for (const name of names) {
      const server = servers[name];
      const beforeUs = server.cpuUs();
      const perSecond = await load(server.port, runMs);
      rates[name].push(perSecond);
      cpu[name].push((server.cpuUs() - beforeUs) / ((perSecond * runMs) / 1_000));
    }
  const middle = (of: typeof rates, name: keyof typeof rates): number => median(of[name]);
  const share = (middle(rates, 'cellar') / middle(rates, 'bare server')) * 100;
  const cpuShare = (middle(cpu, 'bare server') / middle(cpu, 'cellar')) * 100;
  report('s3-get', {
    columns: ['server', 'GET 4 KiB, 32 connections, requests/s', 'CPU us/request'],
    rows: names.map((name) => [name, Math.round(middle(rates, name)), Math.round(middle(cpu, name))]),
    claims: [
      { what: 'share of the bare server, %', target: '>= 60', measured: Math.round(share), holds: share >= 60 },
      { what: 'the same by processor time, %', target: '>= 60', measured: Math.round(cpuShare), holds: cpuShare >= 60 },
      {
        what: 'requests/s',
        target: '> 8000',
        measured: Math.round(middle(rates, 'cellar')),
        holds: middle(rates, 'cellar') > 8_000,
      },
    ],
  });
} finally {
  await Promise.all([cellar.stop(), bare.stop()]);
  rmSync(parent, { recursive: true, force: true });
}
