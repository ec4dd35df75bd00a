import { basename, dirname, resolve } from 'node:path';

/**
 * What a datasource is.
 *
 * `folder`: a folder is one bucket. `buckets`: every child of a folder is a bucket, and S3 tools make and delete them; the datasource is the
 * tree of all, `<datasource>/<bucket>/<key>`. `remote`: a bucket of another S3 server, or what lies below a prefix in it.
 */
export type DatasourceKind = 'folder' | 'buckets' | 'remote';

/** A bucket of another S3 server. Its secret key is no part of any plan: plans are shown. */
export interface RemoteBucket {
  /** Such as `https://s3.example.org`, without a path. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Only keys below it are served, without it: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly region: string;
  readonly accessKey: string;
  /** File with the secret key, when the settings do not have it. */
  readonly secretKeyFile?: string;
}

/** What the settings say of one datasource. */
export interface DatasourceSettings {
  /** Absent: `folder`. */
  readonly kind?: DatasourceKind;
  /** Absolute path; of a remote one empty or absent. */
  readonly folder?: string;
  /** Of a remote one. */
  readonly remote?: RemoteBucket;
}

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
  /** Of a remote one: how the other server names what is served. */
  readonly remote?: Pick<RemoteBucket, 'bucket' | 'prefix'>;
}

/** What one objects service is told: the parent folder and which of its children are buckets. */
export interface ObjectsPlan {
  /** Absolute path; empty for one that speaks to another S3 server. */
  readonly parent: string;
  /** The datasource of kind `buckets` whose folder `parent` is: then every child is a bucket, and more can be made. */
  readonly bucketsOf?: string;
  /** `folder` is the name of the child folder; of a bucket elsewhere it is empty and `remote` says where. */
  readonly buckets: readonly { readonly bucket: string; readonly folder: string; readonly remote?: RemoteBucket }[];
}

export interface PlannedInstance {
  readonly service: 'cellar.grpc.data.objects' | 'cellar.grpc.data.index' | 'cellar.grpc.data.sync';
  readonly instance: string;
  readonly plan: ObjectsPlan | DatasourcePlan;
}

export interface DataPlan {
  readonly instances: readonly PlannedInstance[];
  /**
   * By objects instance, its parent folder (`local1`) or its server and access key (`gateway1`); to be kept, so that an instance keeps
   * its name and with it its tables.
   */
  readonly parents: Readonly<Record<string, string>>;
  /** What cannot be served and why, by datasource; the others are. */
  readonly problems: Readonly<Record<string, string>>;
}

const bucketNameMin = 3;

type Bucket = ObjectsPlan['buckets'][number];

/** What is planned so far. */
interface Draft {
  readonly parents: Record<string, string>;
  readonly objects: Map<string, ObjectsPlan & { readonly buckets: Bucket[] }>;
  /** Folders served, with the datasource of each. */
  readonly served: [datasource: string, folder: string][];
  readonly own: readonly string[];
}

/**
 * Says which services serve the datasources: one objects service per parent folder, or per account of another S3 server, one index and
 * one sync each.
 *
 * `known` are the parents of earlier plans, `own` the files and folders of Cellar itself. A datasource whose folder lies inside another's, or around it, is refused: the same
 * file would be in two trees. So is one that has Cellar's own files in it, since its secrets would be files for users, and a second one of
 * kind `buckets`: nobody could say in which a new bucket is made.
 */
export function planData(
  datasources: Readonly<Record<string, DatasourceSettings>>,
  known: Readonly<Record<string, string>>,
  own: readonly string[] = [],
): DataPlan {
  const draft: Draft = { parents: { ...known }, objects: new Map(), served: [], own };
  const instances: PlannedInstance[] = [];
  const problems: Record<string, string> = {};
  for (const [datasource, settings] of Object.entries(datasources)) {
    if (settings.kind !== 'buckets' && datasource.length < bucketNameMin) {
      problems[datasource] = `its name is that of a bucket, which has at least ${bucketNameMin} characters`;
      continue;
    }
    const placed =
      settings.kind === 'remote' ? placeRemote(draft, datasource, settings) : placeFolder(draft, datasource, settings);
    if ('problem' in placed) {
      problems[datasource] = placed.problem;
      continue;
    }
    const { kind = 'folder' } = settings;
    const plan: DatasourcePlan = {
      datasource,
      ...(kind === 'folder' ? {} : { kind }),
      folder: placed.folder,
      objectsService: `cellar.grpc.data.objects.${placed.instance}`,
      ...(placed.remote ? { remote: { bucket: placed.remote.bucket, prefix: placed.remote.prefix } } : {}),
    };
    instances.push(
      { service: 'cellar.grpc.data.index', instance: datasource, plan },
      { service: 'cellar.grpc.data.sync', instance: datasource, plan },
    );
  }
  const objects = [...draft.objects].map(([instance, plan]) => ({
    service: 'cellar.grpc.data.objects' as const,
    instance,
    plan,
  }));
  return { instances: [...objects, ...instances], parents: draft.parents, problems };
}

type Placed =
  | { readonly instance: string; readonly folder: string; readonly remote?: RemoteBucket }
  | { readonly problem: string };

function placeFolder(draft: Draft, datasource: string, settings: DatasourceSettings): Placed {
  const { parents, objects, served, own } = draft;
  const folder = resolve(settings.folder ?? '');
  const hasBuckets = settings.kind === 'buckets';
  const clash = served.find(([, other]) => isInside(folder, other) || isInside(other, folder));
  if (folder === dirname(folder)) {
    return { problem: `${folder} has no parent folder to serve it from; choose a folder below it` };
  }
  if (own.some((path) => isInside(path, folder) || isInside(folder, path))) {
    return { problem: `${folder} has files of Cellar itself in it, such as its databases` };
  }
  if (clash) {
    return { problem: `${folder} and ${clash[1]} (datasource "${clash[0]}") are the same or lie inside each other` };
  }
  const other = [...objects.values()].find(({ bucketsOf }) => bucketsOf !== undefined)?.bucketsOf;
  if (hasBuckets && other !== undefined) {
    return { problem: `new buckets are made in datasource "${other}" already, and there can be only one such` };
  }
  served.push([datasource, folder]);
  const parent = hasBuckets ? folder : dirname(folder);
  const instance = instanceOf(parents, parent, 'local');
  if (hasBuckets) objects.set(instance, { parent, bucketsOf: datasource, buckets: [] });
  else addBucket(objects, instance, parent, { bucket: datasource, folder: basename(folder) });
  return { instance, folder };
}

function placeRemote({ parents, objects }: Draft, datasource: string, { remote }: DatasourceSettings): Placed {
  if (!remote?.endpoint || !remote.bucket) return { problem: 'it is not said which bucket of which server it is' };
  const clash = [...objects.values()].flatMap(({ buckets }) => buckets).find((other) => isSamePlace(other.remote, remote));
  if (clash) return { problem: `datasource "${clash.bucket}" has the same objects, or some of them` };
  const instance = instanceOf(parents, `${remote.endpoint} ${remote.accessKey}`, 'gateway');
  addBucket(objects, instance, '', { bucket: datasource, folder: '', remote });
  return { instance, folder: '', remote };
}

function addBucket(objects: Draft['objects'], instance: string, parent: string, bucket: Bucket): void {
  const plan = objects.get(instance) ?? { parent, buckets: [] };
  plan.buckets.push(bucket);
  objects.set(instance, plan);
}

/** The instance that has this parent, or had it before; else a new one. */
function instanceOf(parents: Record<string, string>, parent: string, word: string): string {
  const instance = Object.keys(parents).find((name) => parents[name] === parent) ?? nextName(parents, word);
  parents[instance] = parent;
  return instance;
}

function isSamePlace(a: RemoteBucket | undefined, b: RemoteBucket): boolean {
  if (a?.endpoint !== b.endpoint || a.bucket !== b.bucket) return false;
  return a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix);
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? '/' : `${outer}/`);
}

function nextName(parents: Readonly<Record<string, string>>, word: string): string {
  let number = 1;
  while (`${word}${number}` in parents) number++;
  return `${word}${number}`;
}
