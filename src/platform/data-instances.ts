import { readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import type { DatasourceSettings, ObjectsPlan } from '#data/plan.ts';
import { failedPrecondition } from '#kernel/fault.ts';
import { homePaths, ownPaths } from '#kernel/process/paths.ts';
import type { ServiceDefinition, ServiceInstance } from '#kernel/services/service.ts';
import { type Settings, settingValue } from '#kernel/settings/resolve.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { Catalogue } from './catalogue.ts';
import type { PlatformSettings } from './settings.ts';

export interface DataInstances {
  readonly instances: readonly ServiceInstance[];
  /** What cannot be served and why, by datasource. */
  readonly problems: Readonly<Record<string, string>>;
}

/**
 * The instances that serve the datasources of these settings, but for those that are `held` by somebody else, with the reason. Which parent
 * folder belongs to which objects service is kept in `objects.json`, so that an instance finds its tables again.
 */
export async function planInstances(
  home: string,
  settings: Settings,
  definitions: readonly ServiceDefinition[],
  plan: Catalogue['plan'],
  held: Readonly<Record<string, string>> = {},
): Promise<DataInstances> {
  const { parents: path } = homePaths(home);
  const datasources = settingValue(settings, 'datasources') as PlatformSettings['datasources']['datasources'];
  const meant = Object.fromEntries(
    Object.entries(datasources)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .filter(([name, group]) => !(name in held) && (group.kind === 'remote' ? group.endpoint : group.folder))
      .map(([name, group]) => [name, settingsOfOne(home, group)]),
  );
  const known = await readParents(path);
  const { instances, parents, problems } = await plan(meant, known, ownPaths(home));
  if (JSON.stringify(parents) !== JSON.stringify(known)) {
    await writeFile(`${path}.tmp`, `${JSON.stringify(parents, undefined, 2)}\n`, { mode: 0o600, flush: true });
    await rename(`${path}.tmp`, path);
  }
  return {
    problems: {
      ...Object.fromEntries(
        Object.entries(datasources).flatMap(([name, group]) =>
          name in meant ? [] : [[name, held[name] ?? missing[group.kind]]],
        ),
      ),
      ...problems,
    },
    instances: instances.flatMap(({ service, instance, plan: own }) => {
      const definition = definitions.find(({ name }) => name === service);
      return definition ? [{ definition, instance, plan: own }] : [];
    }),
  };
}

/** The folders that these instances write to, by datasource. */
export function writtenFolders(instances: readonly ServiceInstance[]): Record<string, string> {
  const plans = instances.flatMap(({ definition, plan }) => (definition.name === objectsService ? [plan as ObjectsPlan] : []));
  return Object.fromEntries(
    plans.flatMap(({ parent, bucketsOf, buckets }) =>
      bucketsOf === undefined
        ? buckets.flatMap(({ bucket, folder }) => (folder === '' ? [] : [[bucket, join(parent, folder)]]))
        : [[bucketsOf, parent]],
    ),
  );
}

const objectsService = 'cellar.grpc.data.objects';

type Group = PlatformSettings['datasources']['datasources'][string];

const missing: Readonly<Record<Group['kind'], string>> = {
  folder: 'no folder is given',
  buckets: 'no folder is given',
  remote: 'no endpoint is given',
};

function settingsOfOne(home: string, group: Group): DatasourceSettings {
  const { kind, folder, endpoint, bucket, prefix, region, accessKey, secretKeyFile } = group;
  if (kind !== 'remote') return { kind, folder: isAbsolute(folder) ? folder : resolve(home, folder) };
  const below = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return {
    kind,
    remote: {
      endpoint: endpoint.replace(/\/$/, ''),
      bucket,
      prefix: below,
      region,
      accessKey,
      ...(secretKeyFile ? { secretKeyFile: resolve(home, secretKeyFile) } : {}),
    },
  };
}

async function readParents(path: string): Promise<Readonly<Record<string, string>>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Readonly<Record<string, string>>;
  } catch (cause) {
    if (isSystemError(cause, 'ENOENT')) return {};
    throw failedPrecondition(`Cannot read ${path}: ${(cause as Error).message}`, {
      hint: 'It says which folder belongs to which objects service. Restore it from a backup, or remove it to number them anew.',
      cause,
    });
  }
}
