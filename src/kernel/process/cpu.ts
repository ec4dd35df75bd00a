/** Processor use of this process. */
export interface CpuSampler {
  /** Of one core, since the last call but at least over a second. Unit: percent. */
  percent(): number;
}

export function sampleCpu(): CpuSampler {
  let usage = process.cpuUsage();
  let timeMs = performance.now();
  let last = 0;
  return {
    percent: () => {
      const nowMs = performance.now();
      if (nowMs - timeMs < 1000) return last;
      const { user, system } = process.cpuUsage(usage);
      last = Math.round((user + system) / (nowMs - timeMs)) / 10;
      usage = process.cpuUsage();
      timeMs = nowMs;
      return last;
    },
  };
}
