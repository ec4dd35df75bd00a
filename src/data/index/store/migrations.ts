import type { Migration } from '#kernel/database/migrations.ts';

/**
 * Nested sets over folders only. A folder owns the labels `pos` to `last`, and every folder below it lies in between; siblings lie in
 * the order of their names, so reading by `pos` is a walk in tree order. Labels are sparse: a new folder takes one from the gap
 * before its successor. Files hang off their folder and have no label.
 *
 * Names of folders are kept with a slash at their end, which puts them in tree order beside files. Times are microseconds since
 * 1970, so that they fit a number. Ids of files and folders come from one counter.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'folders and files',
    sql: `create table folders (
            id {integer_key}, parent bigint not null, name {text} not null, pos bigint not null, last bigint not null,
            own_files bigint not null, own_bytes bigint not null, mtime_us bigint not null, inode bigint not null
          );
          create unique index folders_name on folders (parent, name);
          create index folders_pos on folders (pos, last, own_files, own_bytes);
          create table files (
            id {integer_key}, folder bigint not null, name {text} not null, size bigint not null, mtime_us bigint not null,
            inode bigint not null, etag {text} not null
          );
          create unique index files_name on files (folder, name);
          create index files_size on files (folder, size, name);
          create index files_time on files (folder, mtime_us, name);
          create table state (only_row {integer_key}, tag {text} not null, next_id bigint not null, source_position bigint not null)`,
  },
];
