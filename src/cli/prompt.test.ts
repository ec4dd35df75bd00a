import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Input, Sink } from './command.ts';
import { Output } from './output/output.ts';
import { ask } from './prompt.ts';

function terminal(): { input: Input; modes: boolean[]; output: Output; shown: () => string } {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (isRaw: boolean) => modes.push(isRaw) });
  const written: string[] = [];
  const stderr = new PassThrough().on('data', (data) => written.push(String(data)));
  const output = new Output({
    stdout: new PassThrough() as Sink,
    stderr: stderr as Sink,
    isJson: false,
    isQuiet: false,
    env: {},
  });
  return { input, modes, output, shown: () => written.join('') };
}

test('a password is not shown, backspace and Ctrl-U work, the terminal is put back', async () => {
  const { input, modes, output, shown } = terminal();
  const answer = ask(input, output, { text: 'Password: ', isSecret: true, signal: new AbortController().signal });
  input.push('wrong\u0015sä');
  input.push(Buffer.from('xy\u007f\u007fcret\r'));
  assert.equal(await answer, 'säcret');
  assert.deepEqual(modes, [true, false]);
  assert.equal(shown(), 'Password: \n');
});

test('Ctrl-C, Ctrl-D and a stop end the question', async () => {
  for (const key of ['\u0003', '\u0004']) {
    const { input, modes, output } = terminal();
    const answer = ask(input, output, { text: '?', isSecret: true, signal: new AbortController().signal });
    input.push(key);
    await assert.rejects(answer, { code: 'canceled' });
    assert.deepEqual(modes, [true, false]);
  }
  const { input, output } = terminal();
  const controller = new AbortController();
  const answer = ask(input, output, { text: '?', signal: controller.signal });
  controller.abort();
  await assert.rejects(answer, { code: 'canceled' });
});

test('a pipe is read a line at a time, without a question', async () => {
  const { output, shown } = terminal();
  const input = new PassThrough();
  input.end('first\r\nsecond');
  const { signal } = new AbortController();
  assert.equal(await ask(input, output, { text: '?', isSecret: true, signal }), 'first');
  assert.equal(await ask(input, output, { text: '?', isSecret: true, signal }), 'second');
  await assert.rejects(ask(input, output, { text: '?', signal }), { code: 'canceled' });
  assert.equal(shown(), '');
});
