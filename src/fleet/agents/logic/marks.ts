import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';

/** Marks on what an engine keeps for us. Whatever has not our fleet's mark is never touched. */
export interface Marks extends ClusterRef {
  /** Empty of what belongs to the cluster as a whole. */
  readonly member: string;
  /** Of the plan a member was made from. */
  readonly digest: string;
}

const prefix = 'cellar.';

/** All labels are text. `host` keeps two hosts apart that share an engine. */
export const labelsOf = (
  fleet: string,
  host: string,
  { cluster, incarnation, member, digest }: Marks,
): Record<string, string> => ({
  [`${prefix}fleet`]: fleet,
  [`${prefix}host`]: host,
  [`${prefix}cluster`]: cluster,
  [`${prefix}incarnation`]: String(incarnation),
  ...(member === '' ? {} : { [`${prefix}member`]: member }),
  ...(digest === '' ? {} : { [`${prefix}digest`]: digest }),
});

/** What to ask an engine for: all of ours, of one cluster, or of one incarnation. */
export function labelFilter(fleet: string, host: string, cluster?: string, incarnation?: number): { label: string[] } {
  return {
    label: [
      `${prefix}fleet=${fleet}`,
      `${prefix}host=${host}`,
      ...(cluster === undefined ? [] : [`${prefix}cluster=${cluster}`]),
      ...(incarnation === undefined ? [] : [`${prefix}incarnation=${incarnation}`]),
    ],
  };
}

/** `undefined`: they are not ours. */
export function readMarks(labels: Readonly<Record<string, string>> | undefined): Marks | undefined {
  const get = (name: string): string => labels?.[prefix + name] ?? '';
  const incarnation = Number(get('incarnation'));
  if (get('cluster') === '' || !Number.isSafeInteger(incarnation)) return undefined;
  return { cluster: get('cluster'), incarnation, member: get('member'), digest: get('digest') };
}

/** Names are made of these alone, so making the same twice finds the first. */
export const nameOf = (fleet: string, host: string, { cluster, incarnation }: ClusterRef, ...rest: readonly string[]): string =>
  ['cellar', fleet, host, cluster, String(incarnation), ...rest].join('.');

export const volumeName = (
  fleet: string,
  host: string,
  ref: ClusterRef,
  { name }: Pick<PlannedMember, 'name'>,
  volume: string,
): string => nameOf(fleet, host, ref, name, volume);
