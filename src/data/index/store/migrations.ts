import type { Migration } from '#kernel/database/migrations.ts';

/** From so many files on a folder's files are in the indexes by size and time. */
export const rankedFilesMin = 2000;

/**
 * Nested sets over folders only. A folder owns the labels `pos` to `last`, and every folder below it lies in between; siblings lie in
 * the order of their names, so reading by `pos` is a walk in tree order. Labels are sparse: a new folder takes one from the gap
 * before its successor. Files hang off their folder and have no label.
 *
 * Names of folders are kept with a slash at their end, which puts them in tree order beside files. Times are microseconds since
 * 1970, so that they fit a number. Ids of files and folders come from one counter.
 *
 * Files lie in the order of folder and name, which is that of most reads. Only those of large folders are also in the indexes by size and
 * time (`is_ranked`): a small folder is sorted faster than two more indexes are kept for all files.
 */
const rebuiltFiles = (clustered: string, text: string): string => `
  create table files_new (
    folder bigint not null, name ${text} not null, id bigint not null, size bigint not null, mtime_us bigint not null,
    inode bigint not null, etag ${text} not null, is_ranked bigint not null, primary key (folder, name)
  )${clustered};
  alter table folders add column is_ranked bigint not null default 0;
  update folders set is_ranked = 1 where own_files > ${rankedFilesMin};
  insert into files_new (folder, name, id, size, mtime_us, inode, etag, is_ranked)
    select f.folder, f.name, f.id, f.size, f.mtime_us, f.inode, f.etag, d.is_ranked
    from files f join folders d on d.id = f.folder order by f.folder, f.name;
  drop table files;
  alter table files_new rename to files;
  create index files_size on files (folder, size, name) where is_ranked = 1;
  create index files_time on files (folder, mtime_us, name) where is_ranked = 1;
  drop index folders_pos;
  create index folders_pos on folders (pos, own_files, own_bytes)`;

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
  {
    id: 2,
    name: 'files in the order of their names',
    sql: { sqlite: rebuiltFiles(' without rowid', 'text'), postgres: rebuiltFiles('', 'text collate "C"') },
  },
];
