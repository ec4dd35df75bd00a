import assert from 'node:assert/strict';
import { test } from 'node:test';
import { besideReference } from './testing/beside-reference.ts';
import type { Command } from './testing/commands.ts';

/* Every call of the file system and of the store that a request makes fails once, and is once the one before which the process is killed. */

const text = 'some text';
const put = (key: string, more: Partial<Extract<Command, { verb: 'put' }>> = {}): Command => ({
  verb: 'put',
  key,
  text,
  note: 'x',
  ...more,
});
const enabled: Command = { verb: 'versioning', to: 'Enabled' };
const suspended: Command = { verb: 'versioning', to: 'Suspended' };
const uploaded: readonly Command[] = [
  { verb: 'upload', key: 'c/d', note: 'x' },
  { verb: 'part', upload: 0, part: 1, text },
  { verb: 'part', upload: 0, part: 2, text: 'the end' },
];

/** Requests by what came before; the last of each is the one that fails. */
const scenarios: Readonly<Record<string, readonly Command[]>> = {
  'put of a new object': [put('a')],
  'put of a new object in new folders': [put('c/f/g')],
  'put over another': [put('c/d'), put('c/d', { text: 'other' })],
  'put that is not wanted': [put('c/d'), put('c/d', { text: 'other', only: 'new' })],
  'delete of the only object of its folders': [put('c/f/g'), { verb: 'delete', key: 'c/f/g' }],
  'delete of one of two': [put('c/d'), put('c/e'), { verb: 'delete', key: 'c/d' }],
  'copy to a new object': [put('a'), { verb: 'copy', key: 'a', to: 'c/d' }],
  'copy onto itself': [put('a'), { verb: 'copy', key: 'a', to: 'a' }],
  'upload is begun': uploaded.slice(0, 1),
  'part of an upload': uploaded,
  'part over another': [...uploaded, { verb: 'part', upload: 0, part: 1, text: 'other text' }],
  'upload is completed': [...uploaded, { verb: 'complete', upload: 0 }],
  'upload is completed over an object': [put('c/d'), ...uploaded, { verb: 'complete', upload: 0 }],
  'versioned: put of a new object': [enabled, put('c/d')],
  'versioned: put over another': [enabled, put('c/d'), put('c/d', { text: 'other' })],
  'versioned: put over one from before': [put('c/d'), enabled, put('c/d', { text: 'other' })],
  'versioned: put over a delete marker': [enabled, put('c/d'), { verb: 'delete', key: 'c/d' }, put('c/d', { text: 'other' })],
  'versioned: delete': [enabled, put('c/d'), { verb: 'delete', key: 'c/d' }],
  'versioned: delete of what is not there': [enabled, { verb: 'delete', key: 'c/d' }],
  'versioned: delete of the latest version': [
    enabled,
    put('c/d'),
    put('c/d', { text: 'other' }),
    { verb: 'delete', key: 'c/d', version: 0 },
  ],
  'versioned: delete of an older version': [
    enabled,
    put('c/d'),
    put('c/d', { text: 'other' }),
    { verb: 'delete', key: 'c/d', version: 1 },
  ],
  'versioned: delete of a delete marker': [
    enabled,
    put('c/d'),
    { verb: 'delete', key: 'c/d' },
    { verb: 'delete', key: 'c/d', version: 0 },
  ],
  'versioned: copy of an older version over the latest': [
    ...[enabled, put('c/d'), put('c/d', { text: 'other' })],
    { verb: 'copy', key: 'c/d', version: 1, to: 'c/d' },
  ],
  'versioned: upload is completed': [enabled, put('c/d'), ...uploaded, { verb: 'complete', upload: 0 }],
  'suspended: put over a version': [enabled, put('c/d'), suspended, put('c/d', { text: 'other' })],
  'suspended: put over the null version': [
    put('c/d'),
    enabled,
    put('c/d', { text: 'b' }),
    suspended,
    put('c/d', { text: 'other' }),
  ],
  'suspended: delete': [put('c/d'), enabled, put('c/d', { text: 'other' }), suspended, { verb: 'delete', key: 'c/d' }],
  'versioning is enabled': [put('c/d'), enabled],
  'tags of an object': [put('c/d'), { verb: 'tag', key: 'c/d', tag: 'x' }],
  'tags of an older version': [enabled, put('c/d'), put('c/d', { text: 'b' }), { verb: 'tag', key: 'c/d', version: 1, tag: 'x' }],
  'hard key: put beside a folder': [put('c/d'), put('c')],
  'hard key: put below a file': [put('c'), put('c/d')],
  'hard key: put over another': [put('../c'), put('../c', { text: 'other' })],
  'hard key: delete': [put('c'), put('c/d'), { verb: 'delete', key: 'c/d' }],
  'hard key: delete of what made it hard': [put('c'), put('c/d'), { verb: 'delete', key: 'c' }],
  'hard key: put where it would be plain now': [
    put('c'),
    put('c/d'),
    { verb: 'delete', key: 'c' },
    put('c/d', { text: 'other' }),
  ],
  'hard key: content at a folder': [put('c/')],
  'hard key: folder beside a file': [put('c'), put('c/', { text: '' })],
  'hard key: versioned folder beside a file': [enabled, put('c'), put('c/', { text: '' })],
  'hard key: none over content at a folder': [put('c/'), put('c/', { text: '' })],
  'hard key: versioned put over another': [enabled, put('../c'), put('../c', { text: 'other' })],
  'hard key: versioned delete': [enabled, put('../c'), { verb: 'delete', key: '../c' }],
  'upload is aborted': [...uploaded, { verb: 'abort', upload: 0 }],
};

test('every request, failing or killed at every call it makes', async (t) => {
  const next = await besideReference(t, { hasVersions: true });
  for (const [name, commands] of Object.entries(scenarios)) {
    await t.test(name, async (each) => {
      const last = commands.at(-1);
      assert.ok(last);
      let runs = 0;
      for (const kind of ['crash', 'EIO', 'ENOSPC', 'short'] as const) {
        for (let at = 0, isStruck = true; isStruck; at++, runs++) {
          const pair = await next();
          for (const command of commands.slice(0, -1)) await pair.prepare(command);
          isStruck = await pair.take({ command: last, fault: { kind, at } }).catch((cause: unknown) => {
            throw new Error(`${kind} at call ${at}`, { cause });
          });
        }
      }
      each.diagnostic(`${runs} runs`);
    });
  }
});
