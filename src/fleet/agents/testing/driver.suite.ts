import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { aborted, Fault } from '#kernel/fault.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { AgentType } from '../../common/words.ts';
import type { Ability, ClusterRef, Driver, MemberQuestion, SeenMember } from '../../driver/driver.ts';
import { shellMember } from './shell-member.ts';

/** One engine, and how to speak to it. */
export interface DriverGround {
  /** A new driver of a fleet, as after a kill of the one before: it knows nothing. */
  driverOf(fleet: string): Promise<Driver>;
  /** An image with a shell; empty for local processes. */
  readonly image: string;
  /** A free port of the host for each call. */
  port(): Promise<number>;
}

export interface DriverSuite {
  readonly type: AgentType;
  readonly skip: string | undefined;
  readonly abilities: readonly Ability[];
  /** What the engine cannot limit. */
  readonly lacks?: readonly 'processes'[];
  /** How long one step may take; 60 s when absent. */
  readonly patienceMs?: number;
  /** Of a member whose image or program there is not. */
  readonly missingReason: string;
  /** What a member answers to JSON-RPC, of an engine whose members cannot serve pages; else it is their page's. */
  readonly result?: string;
  open(t: TestContext): Promise<DriverGround>;
}

const patienceMsDefault = 60_000;
const lookMs = 50;

/** What every driver has to hold, see `Driver`. */
export function driverSuite(suite: DriverSuite): void {
  const { type, skip, abilities, lacks = [], missingReason, result = '7', patienceMs = patienceMsDefault, open } = suite;
  const patience = (): AbortSignal => AbortSignal.timeout(patienceMs);
  const waits = `trap 'exit 0' TERM; while :; do sleep 0.1; done`;
  let clusters = 0;
  const next = (): ClusterRef => ({ cluster: `c${++clusters}`, incarnation: 1 });

  describe(`driver of type ${type}`, { skip: skip ?? false, timeout: 10 * patienceMs }, () => {
    /** Everything of a test is gone after it, also when it has failed. */
    async function ground(t: TestContext) {
      const opened = await open(t);
      const driver = await opened.driverOf('own');
      const refs: ClusterRef[] = [];
      t.after(async () => {
        for (const ref of refs) await driver.remove(ref, patience());
      });
      const made = (): ClusterRef => {
        const ref = next();
        refs.push(ref);
        return ref;
      };
      const root = opened.image === '' ? '.' : '';
      const member = (name: string, script: string, more?: Partial<PlannedMember>) =>
        shellMember(name, opened.image, script, more);
      return { ...opened, member, made, root, driver };
    }

    async function until(
      driver: Driver,
      { cluster }: ClusterRef,
      what: string,
      isSo: (members: readonly SeenMember[]) => boolean,
    ): Promise<readonly SeenMember[]> {
      const signal = patience();
      for (;;) {
        const { members } = await driver.observe(cluster, signal);
        if (isSo(members)) return members;
        if (signal.aborted) throw new Error(`Never so: ${what}; seen last: ${JSON.stringify(members)}`);
        await sleep(lookMs);
      }
    }
    const running = (members: readonly SeenMember[]): boolean =>
      members.length > 0 && members.every(({ state }) => state === 'running');

    test('says what the engine is', async (t) => {
      const { driver } = await ground(t);
      const info = await driver.probe(patience());
      assert.equal(info.type, type);
      assert.ok(info.version !== '' && info.identity !== '' && info.cores > 0 && info.memoryBytes > 0);
      assert.deepEqual([...info.abilities].sort(), [...abilities].sort());
      assert.equal((await driver.probe(patience())).identity, info.identity);
    });

    test('makes members once, and takes all of them away', async (t) => {
      const { driver, made, member } = await ground(t);
      const ref = made();
      const members = [member('one', waits), member('two', waits)];
      await driver.create(ref, members, {}, patience());
      const seen = await until(driver, ref, 'both run', (all) => all.length === 2 && running(all));
      await driver.create(ref, members, {}, patience());
      const again = await until(driver, ref, 'both run', running);
      assert.deepEqual(
        again.map(({ member: name, startedMs, digest }) => [name, startedMs, digest]).sort(),
        seen.map(({ member: name, startedMs, digest }) => [name, startedMs, digest]).sort(),
      );
      assert.ok(seen.every(({ startedMs, digest }) => startedMs > 0 && digest !== ''));
      assert.ok((await driver.remove(ref, patience())) >= 2);
      // A swarm's nodes hear a moment later that a network is gone.
      const signal = patience();
      for (;;) {
        const left = await driver.observe(ref.cluster, signal);
        if (left.members.length + left.leftovers.length === 0) break;
        assert.ok(!signal.aborted, JSON.stringify(left));
        await sleep(lookMs);
      }
      assert.equal(await driver.remove(ref, patience()), 0);
    });

    test('finds all of it again knowing nothing', async (t) => {
      const opened = await ground(t);
      const ref = opened.made();
      await opened.driver.create(ref, [opened.member('one', waits)], {}, patience());
      const other = await opened.driverOf('own');
      const [seen] = await until(other, ref, 'it runs', running);
      assert.equal(seen?.member, 'one');
      await other.stop(ref, ['one'], patience());
      await until(opened.driver, ref, 'it has ended', ([one]) => one?.state === 'exited');
    });

    test('what others have made is neither seen nor touched', async (t) => {
      const { driver, made, member, ...opened } = await ground(t);
      const foreign = await opened.driverOf('foreign');
      const ref = made();
      t.after(() => foreign.remove(ref, patience()));
      await foreign.create(ref, [member('one', waits)], {}, patience());
      assert.deepEqual(await driver.observe(ref.cluster, patience()), { members: [], leftovers: [] });
      assert.equal(await driver.remove(ref, patience()), 0);
      await driver.create(ref, [member('one', waits)], {}, patience());
      await driver.remove(ref, patience());
      await until(foreign, ref, 'it runs on', running);
    });

    test('one that ends is seen with its code, and told of', async (t) => {
      const { driver, made, member } = await ground(t);
      const ref = made();
      const leave = new AbortController();
      const told = Promise.withResolvers<void>();
      const watching = (async () => {
        for await (const cluster of driver.watch(leave.signal)) if (cluster === ref.cluster) told.resolve();
      })();
      await driver.create(ref, [member('one', 'exit 3')], {}, patience());
      const [seen] = await until(driver, ref, 'it has ended', ([one]) => one?.state === 'exited');
      assert.equal(seen?.exitCode, 3);
      assert.match(seen?.message ?? '', /3/);
      await told.promise;
      leave.abort();
      await watching.catch((error: unknown) => assert.ok(leave.signal.aborted, String(error)));
    });

    test('starts again with what was kept; one that does not want to end is ended', async (t) => {
      const { driver, made, member, root } = await ground(t);
      const ref = made();
      const script = `echo run >> ${root}/data/runs; trap '' TERM; while :; do sleep 0.1; done`;
      const one = member('one', script, { volumes: [{ name: 'data', path: '/data' }], stopTimeoutMs: 1000 });
      const counts = async (text: string) => {
        // A member is seen to run before it has done anything: its line is waited for, and no other may follow.
        const signal = patience();
        for (;;) {
          const { output } = await driver.exec(ref, 'one', ['cat', `${root}/data/runs`], signal);
          const seen = Buffer.from(output).toString();
          if (seen === text) return;
          assert.ok(text.startsWith(seen) && !signal.aborted, `${JSON.stringify(seen)} where ${JSON.stringify(text)} is due`);
          await sleep(lookMs);
        }
      };
      await driver.create(ref, [one], {}, patience());
      const [first] = await until(driver, ref, 'it runs', running);
      await counts('run\n');
      await driver.stop(ref, ['one'], patience());
      await until(driver, ref, 'it has ended', ([seen]) => seen?.state === 'exited');
      await driver.stop(ref, ['one'], patience());
      await driver.start(ref, ['one'], patience());
      const [second] = await until(driver, ref, 'it runs again', running);
      assert.ok((second?.startedMs ?? 0) > (first?.startedMs ?? 0));
      await counts('run\nrun\n');
      await driver.start(ref, ['one'], patience());
      const [third] = await until(driver, ref, 'it still runs', running);
      assert.equal(third?.startedMs, second?.startedMs, 'what runs is left alone');
      await counts('run\nrun\n');
      await assert.rejects(driver.start(ref, ['nobody'], patience()), (error) => Fault.from(error).reason === 'member_missing');
      await driver.stop(ref, ['nobody'], patience());
    });

    test('files are as they were written, secret ones for the member alone', async (t) => {
      const { driver, made, member, root } = await ground(t);
      const ref = made();
      const files = [
        { path: '/config/deep/plain.txt', text: 'grüße\n' },
        { path: '/config/secret.txt', text: 'hidden', secret: true },
        { path: '/config/run.sh', text: '#!/bin/sh\necho ran', executable: true },
      ];
      await driver.create(ref, [member('one', waits, { files })], {}, patience());
      await until(driver, ref, 'it runs', running);
      const run = async (...command: string[]) =>
        Buffer.from((await driver.exec(ref, 'one', command, patience())).output)
          .toString()
          .trim();
      assert.equal(await run('cat', `${root}/config/deep/plain.txt`), 'grüße');
      assert.equal(await run('cat', `${root}/config/secret.txt`), 'hidden');
      assert.match(await run('ls', '-l', `${root}/config/secret.txt`), /^-r[w-]-{7}/);
      assert.equal(await run('sh', '-c', `${root}/config/run.sh`), 'ran');
    });

    test('lines of all members, those from before and those to come', async (t) => {
      const { driver, made, member } = await ground(t);
      const ref = made();
      const script = (name: string) => `for i in 1 2 3; do echo ${name}-$i; done; sleep 0.5; echo ${name}-late; ${waits}`;
      await driver.create(ref, [member('one', script('one')), member('two', script('two'))], {}, patience());
      const leave = new AbortController();
      const lines: string[] = [];
      for await (const { member: name, text } of driver.logs(
        { ...ref, member: '', isFollowing: true, tail: 100 },
        leave.signal,
      )) {
        assert.ok(text.startsWith(name));
        lines.push(text);
        if (lines.length === 8) break;
      }
      leave.abort();
      const of = (name: string): string[] => lines.filter((line) => line.startsWith(name));
      for (const name of ['one', 'two'])
        assert.deepEqual(
          of(name),
          [1, 2, 3, 'late'].map((last) => `${name}-${last}`),
        );
      const tail = await Array.fromAsync(driver.logs({ ...ref, member: 'two', isFollowing: false, tail: 2 }, patience()));
      assert.deepEqual(
        tail.map(({ text }) => text),
        ['two-3', 'two-late'],
      );
    });

    test('commands in members, and what members use', async (t) => {
      const { driver, made, member } = await ground(t);
      const ref = made();
      await driver.create(ref, [member('one', waits, { environment: { COLOUR: 'blue' } })], {}, patience());
      await until(driver, ref, 'it runs', running);
      const script = 'echo $COLOUR; echo wrong >&2; exit 4';
      const { exitCode, output, errors } = await driver.exec(ref, 'one', ['sh', '-c', script], patience());
      assert.deepEqual([exitCode, Buffer.from(output).toString(), Buffer.from(errors).toString()], [4, 'blue\n', 'wrong\n']);
      await assert.rejects(
        driver.exec(ref, 'nobody', ['true'], patience()),
        (error) => Fault.from(error).reason === 'member_missing',
      );
      if (!abilities.includes('stats')) {
        await assert.rejects(Array.fromAsync(driver.use(ref, false, patience())), (error) => Fault.from(error).hint !== '');
        return;
      }
      for await (const [used] of driver.use(ref, false, patience())) {
        assert.equal(used?.member, 'one');
        assert.ok((used?.memoryBytes ?? 0) > 0 && (used?.processes ?? 0) > 0);
      }
    });

    test('answers questions: yes, no, and not known', async (t) => {
      const { driver, made, member, ...opened } = await ground(t);
      const ref = made();
      const port = await opened.port();
      const inside = opened.image === '' ? port : 8080;
      const ports = [{ name: 'web', port: inside, hostPort: port, isUdp: false }];
      const named = { web: { inside, host: port }, closed: { inside: 9, host: 0 } };
      // A page that says what it is asked for is all a shell can serve.
      const page = 'HTTP/1.0 200 OK\\r\\nContent-Length: 11\\r\\n\\r\\n{\\"result\\":7}'.replace('11', '12');
      const serve = `while :; do printf "${page}" | busybox nc -l -p ${inside} >/dev/null; done`;
      await driver.create(ref, [member('one', serve, { ports })], {}, patience());
      const ask = async (question: MemberQuestion['question'], who = 'one') =>
        (await driver.ask(ref, [{ member: who, question, ports: named }], patience()))[0];
      const signal = patience();
      while (!(await ask({ http: { port: 'web', path: '/' } }))?.isOk) {
        assert.ok(!signal.aborted, 'it never answered');
        await sleep(lookMs);
      }
      const eventually = async (question: MemberQuestion['question']) => {
        for (;;) {
          const answer = await ask(question);
          if (answer?.isOk || signal.aborted) return answer;
          await sleep(lookMs);
        }
      };
      assert.equal((await eventually({ jsonRpc: { port: 'web', method: 'any' } }))?.value, result);
      assert.equal((await eventually({ tcp: { port: 'web' } }))?.isOk, true);
      const wrong = await ask({ http: { port: 'web', path: '/', status: 404 }, timeoutMs: 1000 });
      assert.deepEqual([wrong?.isOk, wrong?.isUnknown], [false, false]);
      const closed = await ask({ tcp: { port: 'closed' } });
      assert.deepEqual([closed?.isOk, closed?.isUnknown], [false, true]);
      assert.equal((await ask({ command: ['sh', '-c', 'echo fine'] }))?.value, 'fine\n');
      assert.equal((await ask({ command: ['sh', '-c', 'exit 1'] }))?.isOk, false);
      const nobody = await ask({ command: ['true'] }, 'nobody');
      assert.deepEqual([nobody?.isOk, nobody?.isUnknown], [false, true]);
      // Between two connections the shell listens anew.
      while ((await driver.freePorts([port], signal)).length > 0) {
        assert.ok(!signal.aborted, 'a port that is used is not free');
        await sleep(lookMs);
      }
    });

    test('what cannot be made is refused with its reason, and can be left', async (t) => {
      const { driver, made, member, image } = await ground(t);
      const ref = made();
      const lost = member('one', waits, image === '' ? { programs: ['no-such-program'] } : { image: '127.0.0.1:9/no/such:1' });
      await assert.rejects(driver.create(ref, [lost], {}, patience()), (error) => {
        assert.equal(Fault.from(error).reason, missingReason, Fault.from(error).message);
        return true;
      });
      await driver.remove(ref, patience());
      assert.deepEqual(await driver.observe(ref.cluster, patience()), { members: [], leftovers: [] });
    });

    test('making may be cut off anywhere, and repeated, also by two at once', async (t) => {
      const opened = await ground(t);
      const { driver, made, member } = opened;
      for (const afterMs of [0, 5, 20, 80, 200]) {
        const ref = made();
        const members = ['one', 'two'].map((name) => member(name, waits, { volumes: [{ name: 'data', path: '/data' }] }));
        const cut = new AbortController();
        const making = driver.create(ref, members, {}, cut.signal).catch((error: unknown) => error);
        setTimeout(() => cut.abort(), afterMs);
        await making;
        if (afterMs < 20) {
          await driver.remove(ref, patience());
          // What was on its way to the engine may arrive after all; it is seen, and removed by whoever looks.
          const signal = patience();
          for (;;) {
            const { members: seen, leftovers } = await driver.observe(ref.cluster, signal);
            if (seen.length + leftovers.length === 0) break;
            assert.ok(!signal.aborted);
            await driver.remove(ref, signal);
          }
          continue;
        }
        await Promise.all([driver, await opened.driverOf('own')].map((one) => one.create(ref, members, {}, patience())));
        await until(driver, ref, 'both run', (all) => all.length === 2 && running(all));
      }
    });

    const canCopy = abilities.includes('snapshot');
    test('a volume is saved, and is loaded again whole or not at all', { skip: canCopy ? false : 'it cannot' }, async (t) => {
      const { driver, made, member, root } = await ground(t);
      const ref = made();
      const members = [member('one', waits, { volumes: [{ name: 'data', path: '/data' }] })];
      const run = async (script: string): Promise<string> => {
        await driver.create(ref, members, {}, patience());
        await until(driver, ref, 'it runs', running);
        const { exitCode, output, errors } = await driver.exec(
          ref,
          'one',
          ['sh', '-c', `cd ${root}/data && ${script}`],
          patience(),
        );
        assert.equal(exitCode, 0, Buffer.from(errors).toString());
        await driver.stop(ref, ['one'], patience());
        return Buffer.from(output).toString();
      };
      const list = `find . | sort && find . -type f | sort | xargs sha256sum && readlink away && ls -l run`;
      const deep = `mkdir -p deep/er empty && echo grüße > deep/er/plain && : > deep/none && ln -s /etc/passwd away`;
      const before = await run(`${deep} && head -c 3000000 /dev/urandom > large && echo ran > run && chmod 750 run && ${list}`);
      const archive = await Array.fromAsync(driver.saveVolume(ref, 'one', 'data', patience()));
      const after = await run(`rm -r deep && echo new > new && ${list}`);
      assert.notEqual(after, before);

      const cut = (async function* () {
        yield* archive.slice(0, Math.ceil(archive.length / 2));
        throw aborted('the sender is gone');
      })();
      await assert.rejects(driver.loadVolume(ref, 'one', 'data', cut, patience()), /the sender is gone/);
      assert.equal(await run(list), after, 'what breaks off changes nothing');
      const half = Buffer.concat(archive).subarray(0, 1_000_000);
      await assert.rejects(driver.loadVolume(ref, 'one', 'data', Readable.from([half]), patience()));
      assert.equal(await run(list), after, 'what is not whole changes nothing');

      await driver.loadVolume(ref, 'one', 'data', Readable.from(archive), patience());
      assert.equal(await run(list), before);
      await driver.loadVolume(ref, 'one', 'data', Readable.from(archive), patience());
      assert.equal(await run(list), before, 'loading twice is loading once');
      const refused = (reason: string) => (error: unknown) => Fault.from(error).reason === reason;
      await assert.rejects(Array.fromAsync(driver.saveVolume(ref, 'one', 'none', patience())), refused('volume_missing'));
      await driver.create(ref, members, {}, patience());
      await until(driver, ref, 'it runs', running);
      await assert.rejects(driver.loadVolume(ref, 'one', 'data', Readable.from(archive), patience()), refused('member_running'));
    });

    test('limits hold', { skip: abilities.includes('limits') ? false : 'the engine has none' }, async (t) => {
      const { driver, made, member } = await ground(t);
      const ref = made();
      const eats = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done';
      const greedy = member('one', eats, { memoryBytesMax: 32 * 1024 * 1024 });
      const forks = member('two', `for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; ${waits}`, { processesMax: 6 });
      await driver.create(ref, [greedy, forks], {}, patience());
      const seen = await until(driver, ref, 'the greedy one has ended', (all) =>
        all.some((one) => one.member === 'one' && one.state === 'exited'),
      );
      assert.match(seen.find((one) => one.member === 'one')?.message ?? '', /memory/);
      if (lacks.includes('processes')) return;
      for await (const used of driver.use(ref, false, patience()))
        assert.ok((used.find((one) => one.member === 'two')?.processes ?? 0) <= 6, JSON.stringify(used));
    });
  });
}
