import type { Directory } from './directory.ts';
import { close, fsync, open, rename, writev } from './fs.ts';

/** Writes a small file under another name and gives it its own when it is whole and durable; the folder is synced by the caller. */
export async function writeNewFile(directory: Directory, name: string, id: string, text: string): Promise<void> {
  const made = directory.at(`tmp-${id}`);
  const fd = await open(made, 'wx');
  try {
    if (text !== '') await writev(fd, [Buffer.from(text)]);
    await fsync(fd);
  } finally {
    close(fd);
  }
  await rename(made, directory.at(name));
}

/** Makes an open file durable and closes it. */
export async function syncFile(fd: number): Promise<void> {
  try {
    await fsync(fd);
  } finally {
    close(fd);
  }
}
