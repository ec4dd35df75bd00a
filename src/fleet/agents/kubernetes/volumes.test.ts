import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pack } from 'tar-stream';
import { Fault } from '#kernel/fault.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { Driver } from '../../driver/driver.ts';
import { kubernetesMissing, openKubernetes } from '../testing/kubernetes.ts';
import { shellMember } from '../testing/shell-member.ts';
import { KubeApi } from './api.ts';
import { createKubernetesDriver } from './driver.ts';
import { makeHelper } from './helper.ts';
import { readConfig } from './make-driver.ts';
import type { PodView } from './read-member.ts';
import { type KubeScope, within } from './scene.ts';

const skip = kubernetesMissing();
const patienceMs = 180_000;
const patience = (): AbortSignal => AbortSignal.timeout(patienceMs);
const mebibyte = 1024 * 1024;
const waits = `trap 'exit 0' TERM; while :; do sleep 0.1; done`;

describe('volumes on Kubernetes', { skip: skip ?? false, timeout: 10 * patienceMs }, () => {
  let clusters = 0;

  /** A stopped member with a volume, in which there is a file. */
  async function ground(t: TestContext, { helperImage = '' } = {}) {
    const { image } = await openKubernetes(skip);
    const api = new KubeApi(await readConfig('', '', ''));
    const scope: KubeScope = { api, host: 'here', fleet: 'volumes' };
    const driver = createKubernetesDriver({ ...scope, helperImage: () => helperImage });
    const ref = { cluster: `v${++clusters}`, incarnation: 1 };
    t.after(() => driver.remove(ref, patience()));
    const member = shellMember('one', image, waits, { volumes: [{ name: 'data', path: '/data' }] });
    await run(driver, ref, member, 'echo old > file');
    const helpers = async (): Promise<readonly PodView[]> =>
      (await within<PodView>(scope, 'Pod', ref, patience())).items.filter(({ metadata }) => metadata.name.includes('.'));
    return { scope, driver, ref, member, image, helpers };
  }

  /** Starts it for one command in its volume, and stops it. */
  async function run(driver: Driver, ref: { cluster: string; incarnation: number }, member: PlannedMember, script: string) {
    await driver.create(ref, [member], {}, patience());
    const signal = patience();
    while ((await driver.observe(ref.cluster, signal)).members[0]?.state !== 'running') await sleep(200, undefined, { signal });
    const { output, errors, exitCode } = await driver.exec(ref, 'one', ['sh', '-c', `cd /data && ${script}`], signal);
    assert.equal(exitCode, 0, Buffer.from(errors).toString());
    await driver.stop(ref, ['one'], signal);
    return Buffer.from(output).toString();
  }

  test('a copy that is cut off ends at once, and takes along what it has begun', async (t) => {
    const { driver, ref, member, helpers } = await ground(t);
    const cut = new AbortController();
    const archive = (async function* () {
      const tar = pack();
      tar.entry({ name: './large', size: 1024 * mebibyte });
      for await (const header of tar) {
        yield header as Uint8Array;
        break;
      }
      for (;;) {
        yield randomBytes(mebibyte);
        if ((await helpers()).length > 0) cut.abort();
      }
    })();
    await assert.rejects(driver.loadVolume(ref, 'one', 'data', archive, cut.signal), (error) => error === cut.signal.reason);
    assert.deepEqual(await helpers(), []);
    assert.equal(await run(driver, ref, member, 'ls -A && cat file'), 'file\nold\n');

    const leave = new AbortController();
    const reading = driver.saveVolume(ref, 'one', 'data', leave.signal);
    const consumed = (async () => {
      for await (const _ of reading) leave.abort();
    })();
    await consumed.catch((error: unknown) => assert.equal(error, leave.signal.reason));
    assert.deepEqual(await helpers(), []);
  });

  test('what a killed one has left goes with the next start of its member', async (t) => {
    const { driver, scope, ref, member, image, helpers } = await ground(t);
    const helper = { member: 'one', volume: 'data', claim: 'data-one-0', image, isReadOnly: false };
    await makeHelper(scope, ref, helper, patience());
    assert.equal((await helpers()).length, 1);
    const { members, leftovers } = await driver.observe(ref.cluster, patience());
    assert.deepEqual([members.map(({ member: name, state }) => [name, state]), leftovers], [[['one', 'exited']], []]);
    assert.equal(await run(driver, ref, member, 'cat file'), 'old\n');
    assert.deepEqual(await helpers(), []);
  });

  test('what is read slowly comes whole', async (t) => {
    const { driver, ref, member } = await ground(t);
    const before = await run(driver, ref, member, 'head -c 60000000 /dev/urandom > large && sha256sum large');
    const archive: Uint8Array[] = [];
    for await (const piece of driver.saveVolume(ref, 'one', 'data', patience())) {
      archive.push(piece);
      await sleep(3);
    }
    await run(driver, ref, member, 'rm large');
    await driver.loadVolume(ref, 'one', 'data', Readable.from(archive), patience());
    assert.equal(await run(driver, ref, member, 'sha256sum large'), before);
  });

  test('an image without what it takes is refused', async (t) => {
    const { driver, ref, helpers } = await ground(t, { helperImage: '127.0.0.1:9/no/such:1' });
    await assert.rejects(Array.fromAsync(driver.saveVolume(ref, 'one', 'data', patience())), (error) => {
      const { reason, hint } = Fault.from(error);
      assert.deepEqual([reason, /helperImage/.test(hint ?? '')], ['image_missing', true]);
      return true;
    });
    assert.deepEqual(await helpers(), []);
  });
});
