import * as people from './fleet-people.ts';
import * as troubles from './fleet-troubles.ts';
import type { SimulatedFleet } from './simulated-fleet.ts';

type Step = (fleet: SimulatedFleet) => void | Promise<void>;

/** Everything that may happen, and how often. */
const steps: readonly (readonly [often: number, step: Step])[] = [
  [60, watch],
  [10, people.apply],
  [4, people.applyAndWait],
  [8, people.release],
  [4, people.renew],
  [4, people.ownVerb],
  [4, people.operatorVerb],
  [3, people.makeCluster],
  [3, people.fillup],
  [2, people.addHost],
  [2, people.closeHost],
  [4, people.openHost],
  [2, people.changeHost],
  [1, people.clean],
  [1, people.reset],
  [1, people.drain],
  [0.5, people.removeHost],
  [1, people.cancel],
  [6, troubles.memberEnds],
  [4, troubles.memberHangs],
  [1, troubles.manyHang],
  [1.5, troubles.engineForgets],
  [1, troubles.engineRemembers],
  [3, troubles.hostAway],
  [4, troubles.hostBack],
  [0.7, troubles.halfVanish],
  [3, troubles.callsFail],
  [4, troubles.callsWork],
  [1.2, troubles.jump],
  [1, troubles.outlast],
  [1.5, troubles.crash],
  [1.5, troubles.takeOver],
  [1, troubles.halt],
  [2, troubles.goOn],
  [1, troubles.agentForgets],
];
const total = steps.reduce((sum, [often]) => sum + often, 0);

/** One thing happens, then a few things that are on their way go on. */
export async function oneStep(fleet: SimulatedFleet): Promise<void> {
  let at = fleet.random() * total;
  for (const [often, step] of steps) {
    at -= often;
    if (at > 0) continue;
    await step(fleet);
    break;
  }
  await fleet.turns.settle();
  for (let left = fleet.whole(0, 24); left > 0; left--) if (!(await fleet.turns.next())) break;
  const passedMs = fleet.whole(0, 400);
  fleet.clock.nowMs += passedMs;
  fleet.clock.monotonicMs += passedMs;
}

function watch(fleet: SimulatedFleet): void {
  if (!fleet.platforms.some(({ believes }) => believes)) fleet.takeOver(fleet.whole(0, 1), true);
  for (const platform of fleet.platforms) if (fleet.beginPass(platform)) fleet.clock.nowMs += fleet.whole(0, 3000);
}
