import { Code, Fault } from '#kernel/fault.ts';
import type { AgentType } from '../../common/words.ts';
import type { Driver } from '../../driver/driver.ts';

/** Of drivers without the ability `snapshot`. */
export function noVolumes(type: AgentType): Pick<Driver, 'saveVolume' | 'loadVolume'> {
  const fault = (): Fault =>
    new Fault(Code.Unimplemented, `Volumes of hosts of type "${type}" cannot be copied`, {
      reason: 'snapshot_unsupported',
      hint: 'Save what matters with the means of the chain itself.',
    });
  return {
    saveVolume: () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(fault()) }),
    }),
    loadVolume: () => Promise.reject(fault()),
  };
}
