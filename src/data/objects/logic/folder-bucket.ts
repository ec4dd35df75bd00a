import { BucketDisk, type BucketDiskOptions } from './bucket-disk.ts';
import { recoverKey } from './bucket-recovery.ts';
import { FolderMarkers } from './folder-markers.ts';
import { FolderRemover } from './folder-remover.ts';
import { FolderTree } from './folder-tree.ts';
import { FolderUploads } from './folder-uploads.ts';
import { KeptVersions } from './kept-versions.ts';
import { ObjectDeleter } from './object-deleter.ts';
import { ObjectFinder } from './object-finder.ts';
import { ObjectReader } from './object-reader.ts';
import { ObjectWriter } from './object-writer.ts';

export interface FolderBucketOptions extends BucketDiskOptions {
  /** The smallest part but the last; 5 MiB when absent. */
  readonly partSizeBytesMin?: number | undefined;
}

/** The objects of one bucket as files below one folder, by who does what with them. */
export interface FolderBucket {
  readonly disk: BucketDisk;
  readonly finder: ObjectFinder;
  readonly kept: KeptVersions;
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly deleter: ObjectDeleter;
  readonly tree: FolderTree;
  readonly remover: FolderRemover;
  readonly uploads: FolderUploads;
}

export function createFolderBucket(options: FolderBucketOptions): FolderBucket {
  const { now, partSizeBytesMin } = options;
  const disk = new BucketDisk(options);
  const finder = new ObjectFinder(disk);
  const kept = new KeptVersions(disk);
  const markers = new FolderMarkers(disk, finder);
  const reader = new ObjectReader(disk, finder, kept);
  const writer = new ObjectWriter(disk, finder, kept, markers);
  const deleter = new ObjectDeleter(disk, finder, kept, markers);
  const uploads = new FolderUploads({ disk, writer, now, partSizeBytesMin });
  disk.recover = (intent) => recoverKey({ disk, finder, kept }, intent);
  const tree = new FolderTree({ disk, finder, kept, markers });
  return { disk, finder, kept, reader, writer, deleter, tree, remover: new FolderRemover(disk, deleter), uploads };
}
