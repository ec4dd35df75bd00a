/**
 * Asks an HTTP server as fast as it answers, in a process of its own: `node http-load.ts PORT CONNECTIONS MS < REQUEST`. Prints
 * `{"perSecond"}`. For machines without `wrk`; it expects answers with Content-Length.
 */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

const [port, connections, ms] = process.argv.slice(2).map(Number);
const request = Buffer.from(await text(process.stdin));
let answers = 0;
const startMs = performance.now();
const endMs = startMs + (ms ?? 1000);

function one(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port ?? 0, '127.0.0.1', () => socket.write(request));
    let held = '';
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      held += chunk;
      const head = held.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(held)?.[1] ?? 0);
      if (held.length < head + 4 + length) return;
      if (!held.startsWith('HTTP/1.1 200')) reject(new Error(held));
      held = '';
      answers++;
      if (performance.now() < endMs) socket.write(request);
      else socket.end();
    });
    socket.once('close', () => resolve()).once('error', reject);
  });
}

await Promise.all(Array.from({ length: connections ?? 32 }, one));
console.log(JSON.stringify({ perSecond: (answers / (performance.now() - startMs)) * 1000 }));
