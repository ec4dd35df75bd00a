import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createS3Client } from '../src/s3/testing/client.ts';
import { benchCredentials } from './objects-parts.ts';

/** What a page of a listing says of itself, and the last key or group on it. */
export interface Page {
  readonly count: number;
  /** Absent: it is the last one. */
  readonly next: string | undefined;
  readonly bytes: Buffer;
}

export interface PageReader {
  /** Asks for the page after a key by ListObjectsV2. */
  read(bucket: string, after: string, delimiter: string): Promise<Page>;
  close(): void;
}

/** Before the first key of a page. Unit: bytes. */
const headSizeBytes = 1_000;

/**
 * Reads pages one after another over one connection, in full. Of what it read it looks only at what it takes to ask for the next page:
 * what a client makes of the keys is its own work, and no part of the listing.
 */
export function createPageReader(port: number): PageReader {
  const endpoint = `http://127.0.0.1:${port}`;
  const client = createS3Client(endpoint, benchCredentials);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    async read(bucket, after, delimiter) {
      const query = { 'list-type': '2', ...(after ? { 'start-after': after } : {}), ...(delimiter ? { delimiter } : {}) };
      const headers = client.sign('GET', `/${bucket}`, { query });
      const asked = request(`${endpoint}/${bucket}?${new URLSearchParams(query)}`, { agent, headers });
      asked.end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      const bytes = Buffer.concat(await Array.fromAsync<Buffer>(answer));
      const head = bytes.toString('latin1', 0, headSizeBytes);
      const count = /<KeyCount>(\d+)</.exec(head)?.[1];
      if (answer.statusCode !== 200 || count === undefined) throw new Error(bytes.toString());
      const isTruncated = head.includes('<IsTruncated>true<');
      const tag = delimiter ? '<Prefix>' : '<Key>';
      const at = bytes.lastIndexOf(tag) + tag.length;
      const next = isTruncated ? bytes.toString('utf8', at, bytes.indexOf('<', at)) : undefined;
      return { count: Number(count), next, bytes };
    },
    close: () => agent.destroy(),
  };
}
