import type { ContainerStats } from 'dockerode';
import type { MemberUse } from '../../driver/driver.ts';

/** What a container uses, from two samples of its engine. `undefined`: it runs no more. Source: `docker stats`, which leaves out cached files too. */
export function useOf(
  member: string,
  { cpu_stats, memory_stats, pids_stats, precpu_stats }: ContainerStats,
): MemberUse | undefined {
  if (memory_stats?.usage === undefined) return undefined;
  const { inactive_file, total_inactive_file } = (memory_stats.stats ?? {}) as {
    inactive_file?: number;
    total_inactive_file?: number;
  };
  const used = cpu_stats.cpu_usage.total_usage - (precpu_stats?.cpu_usage?.total_usage ?? 0);
  const passed = (cpu_stats.system_cpu_usage ?? 0) - (precpu_stats?.system_cpu_usage ?? 0);
  const cores = cpu_stats.online_cpus || cpu_stats.cpu_usage.percpu_usage?.length || 1;
  return {
    member,
    memoryBytes: Math.max(0, memory_stats.usage - (total_inactive_file ?? inactive_file ?? 0)),
    cpuPercent: passed > 0 ? (used / passed) * cores * 100 : 0,
    processes: pids_stats?.current ?? 0,
  };
}
