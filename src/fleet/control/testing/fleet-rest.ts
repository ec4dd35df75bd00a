import { orderCluster } from '../logic/cluster-verbs.ts';
import type { StoredOperation } from '../store/store.ts';
import type { SimulatedFleet } from './simulated-fleet.ts';

const turnsMax = 200_000;
const passesMax = 60;
/** After so many looks people help where the storm guard waits for them. */
const patience = 25;

/** All troubles end, and everything has its time; what is then wrong with the fleet. */
export async function comeToRest(fleet: SimulatedFleet): Promise<readonly string[]> {
  fleet.tell('all troubles end');
  for (const { troubles } of fleet.world.hosts) Object.assign(troubles, { isAway: false, failsBefore: 0, failsAfter: 0 });
  for (const platform of fleet.platforms) platform.isHalted = false;
  if (!(await runOut(fleet))) return ['what is on its way does not end'];
  if (!fleet.platforms.some(({ believes, epoch }) => believes && epoch === fleet.epoch)) fleet.takeOver(0, true);
  for (const platform of fleet.platforms) if (platform.epoch !== fleet.epoch) fleet.lose(platform);
  let wrong: readonly string[] = [];
  for (let pass = 0; pass < passesMax; pass++) {
    fleet.clock.nowMs += 8000;
    fleet.clock.monotonicMs += 8000;
    for (const platform of fleet.platforms) fleet.beginPass(platform);
    await fleet.turns.settle();
    if (!(await runOut(fleet))) return ['a look at everything does not end'];
    wrong = notWhole(fleet);
    if (wrong.length === 0 || fleet.truth.problems.length > 0) return [];
    if (pass === patience) await help(fleet);
  }
  return wrong;
}

/** Until nobody is on the way any more. Result: false when that does not come. */
async function runOut(fleet: SimulatedFleet): Promise<boolean> {
  for (let turn = 0; turn < turnsMax && fleet.truth.problems.length === 0; turn++) {
    if (await fleet.turns.next()) continue;
    if (fleet.running === 0 && fleet.platforms.every(({ pass }) => !pass)) return true;
    // Somebody waits for time to pass.
    fleet.clock.monotonicMs += 500;
    fleet.clock.nowMs += 500;
  }
  return fleet.truth.problems.length > 0;
}

/** What people do about a pool where too much was sick at once. */
async function help(fleet: SimulatedFleet): Promise<void> {
  const held = fleet.clusters().filter(({ conditions }) => conditions.some(({ reason }) => reason === 'RepairsHeld'));
  for (const { name } of held) {
    fleet.truth.order('reset', name);
    fleet.ask(`op helps ${name}`, ({ parts }) =>
      orderCluster(parts, { name, verb: 'reset', force: false, version: 0, isOwner: false, actor: 'op' }),
    );
  }
  await fleet.turns.settle();
}

function notWhole(fleet: SimulatedFleet): readonly string[] {
  const { nowMs } = fleet.clock;
  const wrong: string[] = [];
  const clusters = fleet.clusters();
  const operations = fleet.rows<StoredOperation>("select record from operations where state = 'running'");
  for (const { name, state, spec, deletedMs } of fleet.hosts()) {
    const own = operations.filter((one) => one.kind === 'host' && one.name === name);
    const draining = own.some(
      ({ verb, targets }) =>
        verb === 'drain' && targets.some(({ cluster }) => clusters.find((one) => one.name === cluster)?.claim),
    );
    if (deletedMs > 0) wrong.push(`host ${name} is to be deleted and still there`);
    else if (state !== 'active' && !(state === 'draining' && draining)) wrong.push(`host ${name} is ${state}`);
    if (spec.cordoned && !fleet.truth.closed.has(name) && !draining)
      wrong.push(`host ${name} is cordoned, and nobody wants that`);
    if (spec.cordoned || !spec.autofill || state !== 'active') continue;
    const here = clusters.filter(({ host }) => host === name);
    const free = here.filter(({ claim, state: now, health }) => claim === '' && now === 'ready' && health === 'ok').length;
    const hasRoom = here.length < spec.capacity && spec.portLast > 20_005 && spec.capacityWeight === 0;
    if (hasRoom && free < spec.warmMin)
      wrong.push(`host ${name} has ${free} free clusters, ${spec.warmMin} are wanted and there is room`);
  }
  for (const { name, desired, state, health, isRecycling } of clusters) {
    const wanted = desired === 'running' ? 'ready' : desired === 'stopped' ? 'stopped' : 'gone';
    if (isRecycling || state !== wanted || (wanted === 'ready' && health !== 'ok'))
      wrong.push(
        `${name} is ${state} and ${health}, wanted is ${wanted}: ${JSON.stringify(fleet.clusters().find((one) => one.name === name))}`,
      );
  }
  for (const operation of operations) {
    const isDrain =
      operation.goal === 'unused' && operation.targets.some(({ cluster }) => clusters.find((one) => one.name === cluster)?.claim);
    if (!isDrain) wrong.push(`${operation.verb} of ${operation.name} does not end: ${operation.message}`);
  }
  for (const claim of fleet.claims('waiting'))
    if (claim.expireMs <= nowMs) wrong.push(`claim ${claim.id} waits, and its time is over`);
  for (const claim of fleet.claims('bound')) if (claim.expireMs <= nowMs) wrong.push(`claim ${claim.id} is over and not ended`);
  return [...wrong, ...enginesNotWhole(fleet)];
}

/** What is there and belongs to nobody, what is missing, and what does not work although it is told to. */
function enginesNotWhole(fleet: SimulatedFleet): readonly string[] {
  const clusters = fleet.clusters();
  const wrong: string[] = [];
  for (const { name: host } of fleet.hosts()) {
    const own = clusters.filter((cluster) => cluster.host === host);
    const wanted = new Map<string, boolean>(
      own.flatMap(({ name, incarnation, members, desired }) =>
        members.map((member) => [`${name}.${incarnation}.${member.name}`, desired === 'running'] as const),
      ),
    );
    const { members, volumes } = fleet.world.host(host);
    for (const [id, isRunning] of wanted) {
      const member = members.get(id);
      // Nobody asks the second of a pair.
      const isWell = member?.state === 'running' && (!member.isHung || member.member === 'second');
      if (isRunning && !isWell) wrong.push(`${id} on ${host} is told to be well: ${JSON.stringify(member)}`);
    }
    for (const id of members.keys()) if (!wanted.has(id)) wrong.push(`${id} on ${host} runs for nobody`);
    for (const id of volumes.keys())
      if (!wanted.has(id.slice(0, id.lastIndexOf('.')))) wrong.push(`volume ${id} on ${host} belongs to nobody`);
  }
  return wrong;
}
