import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DescService } from '@bufbuild/protobuf';
import type { AuditEntry } from '../audit.ts';
import type { Client, RetryOptions } from '../calls/client.ts';
import type { Binding } from '../calls/dispatcher.ts';
import type { Database } from '../database/database.ts';
import type { Migration } from '../database/migrations.ts';
import type { Leases } from '../leases/leases.ts';
import type { Log } from '../log.ts';
import type { Secret, SettingsOf, SettingsSpec } from '../settings/setting.ts';
import type { Stream, StreamSource } from '../streams/streams.ts';
import type { Registry } from './registry.ts';

/**
 * What the launcher knows of a service before it starts; made by `defineService` in the service's `main.ts`. That file stays light
 * (contracts, settings, migrations), since every process loads all of them; the code is loaded by `start`.
 */
export interface ServiceDefinition<S extends SettingsSpec = SettingsSpec> {
  /** Such as `cellar.grpc.policies`; of a service with instances the part before the instance's name. */
  readonly name: string;
  /** One sentence for `cellar ps` and the reference. */
  readonly description: string;
  readonly contracts: readonly DescService[];
  /** Settings under the service's section of `cellar.yaml`, which is `section`. */
  readonly section?: string;
  readonly settings: S;
  /** Names of the services it calls, without instance: they start before it and stop after it. */
  readonly needs: readonly string[];
  /** `main`: runs in the main process; `fork`: each instance has its own process, unless `--no-fork`. */
  readonly placement: 'main' | 'fork';
  /** True: there are as many as the platform's plan names (`cellar.grpc.data.index.docs` ...), each with `micro.instance`. */
  readonly hasInstances?: boolean;
  /** True for a new plan that a running instance takes over by `micro.watchPlan`; else, and when absent, it starts anew with it. */
  readonly takesPlan?: (before: unknown, after: unknown) => boolean;
  /** Tables of its own database; absent: it keeps none. */
  readonly migrations?: readonly Migration[];
  /** What it has answered outlives a power cut: commits wait for the disk. Otherwise one may take the last moments, never more; a kill takes nothing. */
  readonly isDurable?: boolean;
  /** All it keeps can be made anew from elsewhere: a damaged database is put aside at the start, and it begins with an empty one. */
  readonly isRebuildable?: boolean;
  /** It answers plain HTTP as well, through `Running.http`. */
  readonly hasHttp?: boolean;
  /** Loads `server.ts`, builds the parts and hands back what is to be served. The launcher then serves it; nothing listens by itself. */
  readonly start: (micro: Micro<SettingsOf<S>>) => Promise<Running>;
}

/** What a started service hands to the launcher. */
export interface Running {
  readonly bindings: readonly Binding[];
  /** Answers a raw HTTP request; of services with `hasHttp`. Must not reject: it answers errors itself. */
  readonly http?: HttpHandler;
  /** Where people reach it, such as `http://127.0.0.1:8080`; of gateways, which listen by themselves. */
  readonly url?: string;
  /** Called every few seconds and by `/health/ready`. Errors: a `Fault` whose message says why it is not ready. */
  readonly check?: (signal: AbortSignal) => Promise<void>;
  /** Called after calls have drained. `signal` aborts when patience ends. */
  readonly stop?: (signal: AbortSignal) => Promise<void>;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** One instance to run: a definition with the instance's name and what the plan says of it. */
export interface ServiceInstance {
  readonly definition: ServiceDefinition;
  /** Such as `docs`; empty for services without instances. */
  readonly instance: string;
  /** What the plan says of this instance, such as its folder; JSON. */
  readonly plan: unknown;
}

/** Full name of an instance, such as `cellar.grpc.data.index.docs`. */
export function instanceName({ definition, instance }: Pick<ServiceInstance, 'definition' | 'instance'>): string {
  return instance ? `${definition.name}.${instance}` : definition.name;
}

export interface ClientRequest {
  /** The instance meant; absent: whoever serves the contract. */
  readonly service?: string;
  /** How idempotent calls are repeated; absent: a few times within some 200 ms, within the service's budget. */
  readonly retry?: RetryOptions;
}

/** Everything an instance gets from the platform. Nothing is global. */
export interface Micro<S = unknown> {
  /** Full name, such as `cellar.grpc.data.index.docs`. */
  readonly name: string;
  readonly instance: string;
  readonly settings: S;
  /** What the platform's plan says of this instance now; each service parses its own. */
  readonly plan: unknown;
  /** Calls `taken` with each new plan that the instance takes over while it runs. */
  watchPlan(taken: (plan: unknown) => void): void;
  /** A secret that the plan leaves out, such as `datasources.photos.secretKey`, as it is now; undefined when it is not set. */
  secret(key: string): Secret | undefined;
  /** `CELLAR_HOME`. A service writes only below `folder`. */
  readonly home: string;
  /** The instance's own folder below `home`; exists. */
  readonly folder: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Its own tables, migrated. Errors: a plain `Error` when the definition has no migrations. */
  readonly database: Database;
  /** A stream in its own database, also offered through Redis when that is configured. Serve it with `serveStreams`. */
  openStream(name: string): Promise<Stream>;
  /** A stream of another service; through Redis when that is configured, else from the service. */
  followStream(service: string, name: string): Promise<StreamSource>;
  /** Names that one holder has at a time, among all machines. */
  leases(): Promise<Leases>;
  readonly registry: Registry;
  readonly metrics: Metrics;
  /** A client that calls as this service, or for the caller of the call handed to it. */
  client<D extends DescService>(desc: D, request?: ClientRequest): Client<D>;
  /** Notes a person's write that is not a call, such as an S3 request; calls are noted by themselves. */
  audit(entry: Omit<AuditEntry, 'service'>): void;
  /** Sends a raw HTTP request to a service with `hasHttp`, answers through `response`. Errors: `unavailable`. */
  forward(service: string, request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Aborts when stopping begins: loops end, waits give up. */
  readonly signal: AbortSignal;
}

export interface Clock {
  /** Unit: milliseconds since 1970. */
  now(): number;
}

/** Numbers for `/metrics`. Names as Prometheus has them; labels are few and bounded. */
export interface Metrics {
  counter(name: string, help: string, labels?: Readonly<Record<string, string>>): { add(amount?: number): void };
  gauge(name: string, help: string, read: () => number, labels?: Readonly<Record<string, string>>): void;
  /** Of one name, with the label sets there are at the time; a second call for a name replaces the first. */
  gauges(
    name: string,
    help: string,
    read: () => readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[],
  ): void;
  /** Unit in the name, such as `_seconds`; buckets are upper bounds. */
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: Readonly<Record<string, string>>,
  ): { observe(value: number): void };
  /** Prometheus text format, of this process and those it has started. */
  render(): Promise<string>;
}

/** Checks and freezes a definition. Errors: a plain `Error` that names the service. */
export function defineService<const S extends SettingsSpec>(definition: ServiceDefinition<S>): ServiceDefinition {
  if (!/^cellar\.(grpc|rest|gateway)\.[a-z0-9.]+$/.test(definition.name)) {
    throw new Error(`Cannot define "${definition.name}": a service is named cellar.grpc.*, cellar.rest.* or cellar.gateway.*.`);
  }
  return Object.freeze(definition) as unknown as ServiceDefinition;
}
