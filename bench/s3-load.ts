/**
 * Reads objects over S3 as fast as a server answers, in a process of its own: `node s3-load.ts PORT CONNECTIONS MS OBJECTS` asks for
 * `/bench/object-N`, each signed by its header. Prints `{"perSecond"}`. It expects answers with Content-Length.
 */
import { connect } from 'node:net';
import { sha256Hex } from '../src/lib/sigv4.ts';
import { signHeaders } from '../src/lib/sigv4-signer.ts';
import { benchCredentials } from './objects-parts.ts';

const [port = 0, connections = 1, ms = 1000, objects = 1] = process.argv.slice(2).map(Number);
const host = `127.0.0.1:${port}`;
// Signed once: what the client has to do is no part of what is measured.
const requests = Array.from({ length: objects }, (_, at) => {
  const path = `/bench/object-${at}`;
  const signable = { method: 'GET', path, query: [], headers: new Map([['host', host]]) };
  const headers = Object.entries({ host, ...signHeaders(signable, sha256Hex(''), benchCredentials, Date.now()) });
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
});
let answers = 0;
let next = 0;
const startMs = performance.now();

function one(): Promise<void> {
  return new Promise((resolve, reject) => {
    const ask = () => socket.write(requests[next++ % objects]!);
    const socket = connect(port, '127.0.0.1', ask);
    socket.setNoDelay(true);
    let held: Buffer[] = [];
    let missing = -1;
    socket.on('data', (chunk: Buffer) => {
      held.push(chunk);
      if (missing < 0) {
        const all = held.length === 1 ? chunk : Buffer.concat(held);
        const head = all.indexOf('\r\n\r\n');
        if (head < 0) return;
        const text = all.toString('latin1', 0, head);
        if (!text.startsWith('HTTP/1.1 200')) reject(new Error(all.toString()));
        missing = head + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1]) - all.length;
      } else missing -= chunk.length;
      if (missing > 0) return;
      held = [];
      missing = -1;
      answers++;
      if (performance.now() - startMs < ms) ask();
      else socket.end();
    });
    socket.once('close', () => resolve()).once('error', reject);
  });
}

await Promise.all(Array.from({ length: connections }, one));
console.log(JSON.stringify({ perSecond: (answers / (performance.now() - startMs)) * 1000 }));
