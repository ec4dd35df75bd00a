import type { Migration } from '#kernel/database/migrations.ts';

/**
 * What has to hold in the database itself has a column or an index of its own; the rest of a record is JSON.
 *
 * `clusters.is_free` is 1 exactly while a cluster may be given to somebody, so that a claim is one conditional update on an index.
 * `hosts.clusters` and `.weight` count what is there, so that taking a place is one conditional update as well. Times are milliseconds
 * since 1970; 0 means never.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'hosts, clusters, ports, claims',
    sql: `create table hosts (
            name {text} not null primary key, identity {text} not null, state {text} not null, record {text} not null,
            capacity bigint not null, capacity_weight bigint not null, is_open bigint not null,
            clusters bigint not null, weight bigint not null, version bigint not null
          );
          create unique index hosts_identity on hosts (identity);
          create table clusters (
            name {text} not null primary key, host {text} not null, blueprint {text} not null, state {text} not null,
            health {text} not null, claim {text} not null, owner {text} not null, is_free bigint not null, ready_ms bigint not null,
            weight bigint not null, version bigint not null, record {text} not null
          );
          create index clusters_free on clusters (is_free, blueprint, ready_ms);
          create index clusters_host on clusters (host, name);
          create index clusters_owner on clusters (owner, name);
          create table ports (
            host {text} not null, port bigint not null, cluster {text} not null, member {text} not null, name {text} not null,
            primary key (host, port)
          );
          create index ports_cluster on ports (cluster);
          create table claims (
            id {text} not null primary key, state {text} not null, user_id {text} not null, cluster {text} not null,
            applied_ms bigint not null, expire_ms bigint not null, record {text} not null
          );
          create index claims_user on claims (user_id, state, applied_ms, id);
          create index claims_cluster on claims (cluster, applied_ms, id);
          create index claims_time on claims (applied_ms, id);
          create index claims_waiting on claims (state, applied_ms, id);
          create index claims_expiring on claims (state, expire_ms);
          create table operations (
            id {text} not null primary key, state {text} not null, kind {text} not null, name {text} not null, created_ms bigint not null,
            record {text} not null
          );
          create index operations_time on operations (created_ms, id);
          create index operations_state on operations (state, created_ms, id);
          create table blueprints (name {text} not null primary key, digest {text} not null);
          create table blueprint_texts (digest {text} not null primary key, text {text} not null);
          create table fleet (only_row {integer_key}, id {text} not null);
          create table claimers (user_id {text} not null primary key, claims bigint not null)`,
  },
  {
    id: 2,
    name: 'what is free and used on a host is counted by indexes',
    sql: `create index clusters_claimed on clusters (host, claim);
          create index clusters_open on clusters (host, is_free)`,
  },
  {
    id: 3,
    name: 'webhooks, and figures over time',
    sql: `create table webhooks (name {text} not null primary key, version bigint not null, record {text} not null);
          create table webhook_deliveries (
            webhook {text} not null, id {text} not null, state {text} not null, first_ms bigint not null, record {text} not null,
            primary key (webhook, id)
          );
          create index webhook_deliveries_time on webhook_deliveries (webhook, first_ms, id);
          create table usage_over_time (
            span_ms bigint not null, at_ms bigint not null, samples bigint not null, used bigint not null, free bigint not null,
            clusters bigint not null, capacity bigint not null, waiting bigint not null, primary key (span_ms, at_ms)
          );
          create table timings (
            number {id}, kind {text} not null, blueprint {text} not null, at_ms bigint not null, duration_us bigint not null
          );
          create index timings_time on timings (kind, at_ms)`,
  },
  {
    id: 4,
    name: 'snapshots of clusters',
    sql: `create table snapshots (
            id {text} not null primary key, cluster {text} not null, name {text} not null, claim {text} not null, state {text} not null,
            created_ms bigint not null, size_bytes bigint not null, record {text} not null
          );
          create unique index snapshots_name on snapshots (cluster, name) where state <> 'deleting';
          create index snapshots_place on snapshots (cluster, created_ms, id);
          create index snapshots_state on snapshots (state, id)`,
  },
];
