import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import { prepareFences } from '#kernel/leases/fence.ts';
import { createSimulatedDriver } from '../../agents/simulated/driver.ts';
import { SimulatedWorld, seeded } from '../../agents/simulated/world.ts';
import { migrations } from '../store/migrations.ts';
import type { StoredClaim, StoredCluster, StoredHost } from '../store/store.ts';
import { FleetTruth } from './fleet-truth.ts';
import { createPlatform, type Ground, type SimulatedPlatform } from './simulated-platform.ts';
import { blueprintOfText } from './simulation.ts';
import { Turns } from './turns.ts';

const pair = blueprintOfText(`
blueprint: 1
name: pair
description: Two members, one after the other.
agents: [simulated]
members:
  - { role: first, command: [first], volumes: { data: /data }, ports: { rpc: { port: 1 } }, ready: [{ tcp: { port: rpc } }] }
  - { role: second, command: [second], after: [first], volumes: { data: /data } }
health:
  - { name: Silent, role: first, ask: { tcp: { port: rpc } }, message: It does not answer }
`);
const solo = blueprintOfText(`
blueprint: 1
name: solo
description: One member.
agents: [simulated]
parameters:
  size: { type: integer, description: A number., default: 1, min: 1, max: 9 }
members:
  - { role: node, command: [node], volumes: { data: /data }, ports: { rpc: { port: 1 }, web: { port: 2 } }, ready: [{ tcp: { port: rpc } }] }
health:
  - { name: Silent, role: node, ask: { tcp: { port: rpc } }, message: It does not answer }
`);

const knownMax = 1000;

/** A whole installation that is only imagined: two processes of the control plane over one database, an agent, and hosts. */
export class SimulatedFleet implements Ground {
  readonly random: () => number;
  readonly turns: Turns;
  readonly clock = { nowMs: 1_700_000_000_000, monotonicMs: 0 };
  readonly world = new SimulatedWorld();
  readonly agent = { newest: 0 };
  readonly blueprints = new Map([pair, solo].map((blueprint) => [blueprint.name, blueprint]));
  readonly truth: FleetTruth;
  readonly platforms: SimulatedPlatform[] = [];
  /** What was done last, for people. */
  readonly story: string[] = [];
  /** Of those that wait and may go away. */
  readonly leaving: AbortController[] = [];
  /** Requests that are not answered yet. */
  running = 0;
  epoch = 0;
  database: Database;
  #names = 0;
  private constructor(database: Database, seed: number) {
    this.database = database;
    this.random = seeded(seed);
    this.turns = new Turns(this.random);
    this.truth = new FleetTruth(this);
  }

  static async create(database: Database, seed: number): Promise<SimulatedFleet> {
    await migrate(database, migrations);
    await prepareFences(database);
    const fleet = new SimulatedFleet(database, seed);
    fleet.platforms.push(createPlatform(fleet, 'a1'), createPlatform(fleet, 'b1'));
    return fleet;
  }

  newSecret = (bytes: number): string => `${++this.#names}`.padStart(bytes * 2, '0');
  engineOf = (host: string) =>
    createSimulatedDriver({ host: this.world.host(host), address: host, now: () => this.clock.nowMs, random: this.random });
  onCommit: Ground['onCommit'] = (process) => this.truth.onCommit(process);
  onTold: Ground['onTold'] = (process, events) => this.truth.onTold(process, events);
  onEffect: Ground['onEffect'] = (...effect) => this.truth.onEffect(...effect);
  onSurprise: Ground['onSurprise'] = (what, error) =>
    this.truth.wrong(`${what}: ${error instanceof Error ? error.stack : String(error)}`);

  tell(what: string): void {
    this.story.push(`${this.story.length} ${what}`);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  whole(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  /** A process that can be asked. */
  any(): SimulatedPlatform {
    const able = this.platforms.filter(({ isHalted }) => !isHalted);
    return this.pick(able.length > 0 ? able : this.platforms) ?? (this.platforms[0] as SimulatedPlatform);
  }

  /** Begins a request; it goes on with the turns of those that follow. */
  ask(what: string, request: (platform: SimulatedPlatform) => Promise<unknown>, platform = this.any()): void {
    this.tell(`${platform.name}: ${what}`);
    this.running += 1;
    const mine = { platform };
    this.#requests.add(mine);
    const done = (answer: string): void => {
      if (!this.#requests.delete(mine)) return;
      this.running -= 1;
      this.tell(`${platform.name}: ${what} -> ${answer}`);
    };
    request(platform).then(
      (value) => done(answerOf(value)),
      (error: unknown) => {
        if (!(error instanceof Fault)) this.onSurprise(what, error);
        else if (error.code === 'internal' || error.code === 'data_loss' || error.code === 'unknown')
          this.onSurprise(what, error);
        done(error instanceof Fault ? `${error.reason || error.code}` : 'surprise');
      },
    );
  }

  readonly #known = new Map<string, unknown>();
  readonly #requests = new Set<{ readonly platform: SimulatedPlatform }>();

  /** Kills a process and starts the next one in its place. */
  crash(at: number): void {
    const dead = this.platforms[at];
    if (!dead) return;
    this.turns.kill(dead);
    for (const request of this.#requests) {
      if (request.platform === dead && this.#requests.delete(request)) this.running -= 1;
    }
    void dead.watchdog.run(AbortSignal.abort());
    const name = `${dead.name[0]}${Number(dead.name.slice(1)) + 1}`;
    this.platforms[at] = createPlatform(this, name);
    this.tell(`${dead.name} is killed, ${name} begins`);
  }

  /** Nothing goes on any more. */
  end(): void {
    for (const platform of this.platforms) {
      this.turns.kill(platform);
      void platform.watchdog.run(AbortSignal.abort());
    }
  }

  /** The other process gets the lease; the one before is told, or is not. */
  takeOver(at: number, isTold: boolean): void {
    const next = this.platforms[at];
    if (!next || next.isHalted || next.pass) return;
    for (const other of this.platforms) if (other !== next && isTold) this.lose(other);
    next.epoch = ++this.epoch;
    next.believes = true;
    this.tell(`${next.name} watches with epoch ${next.epoch}${isTold ? '' : ', and nobody tells who did before'}`);
  }

  lose(platform: SimulatedPlatform): void {
    platform.believes = false;
    platform.pass?.abort(new Fault('aborted', 'The lease was lost', { reason: 'lease_lost' }));
  }

  /** Begins a look at everything, when none is on. Result: whether one was begun. */
  beginPass(platform: SimulatedPlatform): boolean {
    if (platform.pass || !platform.believes || platform.isHalted) return false;
    const pass = new AbortController();
    platform.pass = pass;
    platform.watchdog
      .pass(pass.signal)
      .then(
        () => undefined,
        (error: unknown) => {
          if (!(error instanceof Fault) && !pass.signal.aborted) this.onSurprise('pass', error);
          this.tell(`${platform.name} was cut off: ${error instanceof Error ? error.message : String(error)}`);
        },
      )
      .finally(() => {
        if (platform.pass === pass) platform.pass = undefined;
      });
    return true;
  }

  clusters(): StoredCluster[] {
    return this.rows<StoredCluster>('select record, version from clusters order by name');
  }

  hosts(): (StoredHost & { clusters: number; weight: number })[] {
    return this.rows('select record, version, clusters, weight from hosts order by name');
  }

  claims(state: StoredClaim['state']): StoredClaim[] {
    return this.rows<StoredClaim>(`select record from claims where state = '${state}' order by applied_ms, id`);
  }

  /** Most rows are as they were when they were looked at last. */
  #read(record: string): unknown {
    const known = this.#known.get(record);
    if (known) return known;
    if (this.#known.size > knownMax) this.#known.clear();
    const read: unknown = JSON.parse(record);
    this.#known.set(record, read);
    return read;
  }

  /** At once, so that looking changes nothing of the order of things. */
  rows<T>(sql: string): T[] {
    const found = this.database.sqlite?.all<{ record: string; version?: number }>(sql) ?? [];
    return found.map(({ record, ...rest }) => ({ ...(this.#read(record) as T), ...rest }));
  }
}

function answerOf(value: unknown): string {
  const { id, name, cluster, state } = Object(value) as Readonly<Record<string, unknown>>;
  return [id, name, cluster, state].filter((one) => one !== undefined && one !== '').join(' ') || 'done';
}
