import assert from 'node:assert/strict';
import { test } from 'node:test';
import Docker from 'dockerode';
import { Fault } from '#kernel/fault.ts';
import { believe, believing } from './believe.ts';

const isStrange = (error: unknown): boolean => Fault.from(error).reason === 'engine_unsuitable';
/** An engine's client that hands on this answer, whatever it is asked. */
const saying = (answer: unknown): Docker => {
  const say = async (): Promise<unknown> => answer;
  return believing(Object.assign(new Docker(), { listContainers: say, listNetworks: say, listVolumes: say }));
};

test('lists of objects are believed, everything else is refused', async () => {
  assert.deepEqual(await saying([]).listContainers(), []);
  assert.deepEqual(await saying([{ Id: 'a' }]).listNetworks(), [{ Id: 'a' }]);
  for (const answer of [undefined, null, '', '[]', {}, { lie: true }, Buffer.from('<html>'), [1], [null], ['a'], [[]]])
    await assert.rejects(saying(answer).listContainers(), isStrange, JSON.stringify(answer));
});

test('an engine without volumes says null, which is none', async () => {
  assert.deepEqual(await saying({ Volumes: null, Warnings: null }).listVolumes(), { Volumes: [], Warnings: null });
  for (const answer of [null, [], { Volumes: {} }, { Volumes: [1] }, Buffer.from('x')])
    await assert.rejects(saying(answer).listVolumes(), isStrange, JSON.stringify(answer));
});

test('what has its parts is believed', () => {
  const whole = { Config: {}, State: {} };
  assert.equal(believe(whole, 'a container', 'Config', 'State'), whole);
  assert.throws(() => believe({ Config: {}, State: undefined }, 'a container', 'Config', 'State'), isStrange);
});
