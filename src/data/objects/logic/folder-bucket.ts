import { BucketDisk, type BucketDiskOptions } from './bucket-disk.ts';
import { FolderMarkers } from './folder-markers.ts';
import { FolderTree } from './folder-tree.ts';
import { FolderUploads } from './folder-uploads.ts';
import { ObjectReader } from './object-reader.ts';
import { ObjectWriter } from './object-writer.ts';

export interface FolderBucketOptions extends BucketDiskOptions {
  readonly now: () => number;
  /** The smallest part but the last; 5 MiB when absent. */
  readonly partSizeBytesMin?: number | undefined;
}

/** The objects of one bucket as files below one folder, by who does what with them. */
export interface FolderBucket {
  readonly disk: BucketDisk;
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly tree: FolderTree;
  readonly uploads: FolderUploads;
}

export function createFolderBucket(options: FolderBucketOptions): FolderBucket {
  const { now, partSizeBytesMin } = options;
  const disk = new BucketDisk(options);
  const reader = new ObjectReader(disk);
  const markers = new FolderMarkers(disk, reader);
  const writer = new ObjectWriter(disk, reader, markers);
  const uploads = new FolderUploads({ disk, writer, now, partSizeBytesMin });
  return { disk, reader, writer, tree: new FolderTree(disk, markers), uploads };
}
