import { basename, dirname, resolve } from 'node:path';

/**
 * What a datasource is.
 *
 * `folder`: a folder is one bucket. `buckets`: every child of a folder is a bucket, and S3 tools make and delete them; the datasource is the
 * tree of all, `<datasource>/<bucket>/<key>`. `remote`: a bucket of another S3 server, or what lies below a prefix in it.
 */
export type DatasourceKind = 'folder' | 'buckets' | 'remote';

/** What one datasource is told: where its files lie and which objects service exposes them. */
export interface DatasourcePlan {
  /** Also the bucket's name, unless its kind is `buckets`. */
  readonly datasource: string;
  /** Absent: `folder`. */
  readonly kind?: DatasourceKind;
  /** Absolute path; empty for a remote one. */
  readonly folder: string;
  /** Full name, such as `cellar.grpc.data.objects.local1`. */
  readonly objectsService: string;
}

/** What one objects service is told: the parent folder and which of its children are buckets. */
export interface ObjectsPlan {
  /** Absolute path. */
  readonly parent: string;
  /** The datasource of kind `buckets` whose folder `parent` is: then every child is a bucket, and more can be made. */
  readonly bucketsOf?: string;
  readonly buckets: readonly { readonly bucket: string /** Name of the child folder. */; readonly folder: string }[];
}

export interface PlannedInstance {
  readonly service: 'cellar.grpc.data.objects' | 'cellar.grpc.data.index' | 'cellar.grpc.data.sync';
  readonly instance: string;
  readonly plan: ObjectsPlan | DatasourcePlan;
}

export interface DataPlan {
  readonly instances: readonly PlannedInstance[];
  /** Parent folder by objects instance (`local1`); to be kept, so that an instance keeps its name and with it its tables. */
  readonly parents: Readonly<Record<string, string>>;
  /** What cannot be served and why, by datasource; the others are. */
  readonly problems: Readonly<Record<string, string>>;
}

/**
 * Says which services serve the datasources: one objects service per parent folder, one index and one sync each.
 *
 * `known` are the parents of earlier plans, `own` the files and folders of Cellar itself. A datasource whose folder lies inside another's, or around it, is refused: the same
 * file would be in two trees. So is one that has Cellar's own files in it: its secrets would be files for users.
 */
export function planData(
  datasources: Readonly<Record<string, { readonly folder: string }>>,
  known: Readonly<Record<string, string>>,
  own: readonly string[] = [],
): DataPlan {
  const parents: Record<string, string> = { ...known };
  const buckets = new Map<string, { bucket: string; folder: string }[]>();
  const instances: PlannedInstance[] = [];
  const problems: Record<string, string> = {};
  const served: [string, string][] = [];
  for (const [datasource, settings] of Object.entries(datasources)) {
    const folder = resolve(settings.folder);
    const clash = served.find(([, other]) => isInside(folder, other) || isInside(other, folder));
    if (folder === dirname(folder)) {
      problems[datasource] = `${folder} has no parent folder to serve it from; choose a folder below it`;
    } else if (own.some((path) => isInside(path, folder) || isInside(folder, path))) {
      problems[datasource] = `${folder} has files of Cellar itself in it, such as its databases`;
    } else if (clash) {
      problems[datasource] = `${folder} and ${clash[1]} (datasource "${clash[0]}") are the same or lie inside each other`;
    } else {
      served.push([datasource, folder]);
      const parent = dirname(folder);
      const instance = Object.keys(parents).find((name) => parents[name] === parent) ?? nextName(parents);
      parents[instance] = parent;
      buckets.set(instance, [...(buckets.get(instance) ?? []), { bucket: datasource, folder: basename(folder) }]);
      const plan: DatasourcePlan = { datasource, folder, objectsService: `cellar.grpc.data.objects.${instance}` };
      instances.push(
        { service: 'cellar.grpc.data.index', instance: datasource, plan },
        { service: 'cellar.grpc.data.sync', instance: datasource, plan },
      );
    }
  }
  const objects = [...buckets].map(([instance, children]) => ({
    service: 'cellar.grpc.data.objects' as const,
    instance,
    plan: { parent: parents[instance] as string, buckets: children },
  }));
  return { instances: [...objects, ...instances], parents, problems };
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}

function nextName(parents: Readonly<Record<string, string>>): string {
  let number = 1;
  while (`local${number}` in parents) number++;
  return `local${number}`;
}
