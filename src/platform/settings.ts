import type { Section } from '#kernel/settings/schema.ts';
import { choice, integer, list, map, Secret, type SettingsOf, secret, text } from '#kernel/settings/setting.ts';

const restart = { needsRestart: true } as const;

/** Settings of the platform itself. Those of a service are in its `main.ts`. */
export const platformSettings = {
  database: {
    url: secret({
      default: new Secret(''),
      meaning:
        'Where services keep their tables: `sqlite:/folder/` or `postgres://user:password@host/database`. Empty: SQLite files below `db/` in the home.',
      ...restart,
    }),
    perService: map({
      meaning:
        "Databases of single services, by the service's name, such as `cellar.grpc.data.index`; with an instance or without.",
      keyPattern: /^cellar\.[a-z0-9.-]+$/,
      keyAllowed: 'names of services',
      of: { url: secret({ default: new Secret(''), meaning: 'As `database.url`.', ...restart }) },
      ...restart,
    }),
  },
  streams: {
    url: secret({
      default: new Secret(''),
      meaning: "Engine of streams between machines, such as `redis://host:6379`. Empty: the producers' databases.",
      ...restart,
    }),
  },
  leases: {
    url: secret({
      default: new Secret(''),
      meaning: 'Engine of leases, such as `redis://host:6379`. Empty: the database.',
      ...restart,
    }),
  },
  log: {
    level: choice({ default: 'info', of: ['debug', 'info', 'warn', 'error'], meaning: 'Least serious lines that are written.' }),
    fileSizeMaxMib: integer({
      default: 20,
      min: 1,
      max: 10_240,
      unit: 'MiB',
      meaning: 'Size at which a log file is put aside.',
      ...restart,
    }),
    filesMax: integer({ default: 5, min: 1, max: 1000, meaning: 'Log files kept, with the current one.', ...restart }),
  },
  datasources: {
    datasources: map({
      meaning: "Folders that are served, by the name people see, which is also the S3 bucket's name.",
      keyPattern: /^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/,
      keyAllowed: '2 to 63 lower-case letters, digits and hyphens',
      of: {
        folder: text({
          default: '',
          pattern: /^.+$/s,
          allowed: 'the path of a folder',
          meaning: 'The folder; a relative path starts at the home.',
        }),
        kind: choice({
          default: 'folder',
          of: ['folder', 'buckets', 'remote'],
          meaning:
            'What it is. `folder`: the folder is one bucket. `buckets`: every folder in it is a bucket, and S3 tools make and delete them; there can be one such. `remote`: a bucket of another S3 server.',
        }),
        endpoint: text({
          default: '',
          pattern: /^https?:\/\/[^/\s?#@]+\/?$/,
          allowed: 'an address such as https://s3.example.org',
          meaning: 'Of a remote one: address of the S3 server.',
        }),
        bucket: text({ default: '', meaning: 'Of a remote one: the bucket there.' }),
        prefix: text({ default: '', meaning: 'Of a remote one: only the keys below this prefix are served, without it.' }),
        region: text({ default: 'us-east-1', meaning: 'Of a remote one: the region that signatures name.' }),
        accessKey: text({ default: '', meaning: 'Of a remote one: the access key.' }),
        secretKey: secret({ default: new Secret(''), meaning: 'Of a remote one: the secret key.' }),
        secretKeyFile: text({ default: '', meaning: 'Of a remote one: file with the secret key, instead of `secretKey`.' }),
      },
    }),
  },
  process: {
    memoryMaxMib: integer({
      default: 1024,
      min: 64,
      max: 1_048_576,
      unit: 'MiB',
      meaning: "Resident memory above which a service's process is restarted, in order.",
    }),
    heartbeatMs: integer({
      default: 1000,
      min: 50,
      max: 60_000,
      unit: 'ms',
      meaning: 'How often a process says that it is alive.',
      ...restart,
    }),
    hangMs: integer({
      default: 10_000,
      min: 200,
      max: 600_000,
      unit: 'ms',
      meaning: 'Silence after which a process counts as hanging and is killed; it is warned of at half of that.',
    }),
    startMs: integer({
      default: 60_000,
      min: 1000,
      max: 3_600_000,
      unit: 'ms',
      meaning: 'Longest time a service may take to become ready.',
    }),
    stopMs: integer({
      default: 10_000,
      min: 100,
      max: 600_000,
      unit: 'ms',
      meaning: 'Longest time a service may take to stop before it is killed.',
    }),
    backoffMs: integer({
      default: 500,
      min: 10,
      max: 60_000,
      unit: 'ms',
      meaning: 'Wait before the second restart in a row; doubles after. The first is at once.',
    }),
    backoffMaxMs: integer({ default: 30_000, min: 100, max: 3_600_000, unit: 'ms', meaning: 'Longest wait between restarts.' }),
    healthyMs: integer({
      default: 10_000,
      min: 100,
      max: 3_600_000,
      unit: 'ms',
      meaning: 'Time a service must be ready for its earlier crashes to be forgotten.',
    }),
    checkMs: integer({
      default: 5000,
      min: 100,
      max: 600_000,
      unit: 'ms',
      meaning: "How often a service's health is checked.",
      ...restart,
    }),
  },
  machine: {
    name: text({
      default: '',
      pattern: /^[A-Za-z0-9.-]{0,63}$/,
      allowed: 'at most 63 letters, digits, dots and hyphens',
      meaning: "Name of this machine among several. Empty: the host's name.",
      ...restart,
    }),
    listen: text({
      default: '',
      pattern: /^(\S+:\d{1,5})?$/,
      allowed: 'host:port',
      meaning: 'Where other machines reach this one by gRPC, such as `10.0.0.2:7070`. Empty: it works alone.',
      ...restart,
    }),
    services: list({
      default: [],
      meaning: 'Services that run on this machine, such as `cellar.grpc.data.index` or `cellar.grpc.data.*`. Empty: all.',
      ...restart,
    }),
    bundle: text({
      default: '',
      meaning:
        'File with the certificate of this machine, made by `cellar machine add` on the first one. Empty: this is the first one, which has the CA.',
      ...restart,
    }),
  },
} as const;

export type PlatformSettings = { readonly [K in keyof typeof platformSettings]: SettingsOf<(typeof platformSettings)[K]> };

export const platformSections: readonly Section[] = Object.entries(platformSettings).map(([name, settings]) => ({
  name,
  settings,
  owner: 'the platform',
}));
