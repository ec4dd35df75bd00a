"""A disk that forgets: what was not synced is gone when the power is cut.

    disk.py MOUNTPOINT BACKING

Everything goes through to the folder BACKING at once, and beside each change it is kept what was there before, until it is synced: of the pages
of a file until fsync or fdatasync of the file, of names until fsync of a folder that they are in. Nothing is synced by itself.

Standard input takes one command, `cut MODE SEED`: from then on every call fails, what was not synced is undone in BACKING, and `{"names", "pages",
"files"}` (how much that was) is printed. With the end of standard input the program ends and unmounts. MODE is
  all     nothing that was not synced is kept
  names   names are kept and contents are not: files that are there and empty
  some    each folder keeps its names up to some moment, each file some of its pages, as a number generator with SEED says

A rename is one change: it is synced with either folder. An fdatasync does not keep a file's times unless its size has changed, as with ext4.
"""

import ctypes
import errno
import json
import os
import random
import resource
import shutil
import stat
import subprocess
import sys
import threading
import traceback

try:
    import fusepy as fuse  # Debian's name of it
except ImportError:
    import fuse

PAGE = 4096


class Unsynced:
    """What a file was when it was synced last, as far as it has changed since."""

    def __init__(self, fd):
        self.fd = fd
        self.before = os.fstat(fd)
        self.pages = {}

    def keep(self, start, end):
        """Keeps the pages from byte `start` to before `end` as they are now, when they are not kept yet."""
        for page in range(start // PAGE, (min(end, self.before.st_size) + PAGE - 1) // PAGE):
            if page not in self.pages:
                self.pages[page] = os.pread(self.fd, PAGE, page * PAGE)

    def written(self, page):
        """A page that begins after the old end has nothing to be kept of."""
        return page in self.pages or page * PAGE >= self.before.st_size


class NameChange:
    """A change of names: where, how it is undone, what to do when it is lasting, and the folder that it has removed."""

    def __init__(self, places, undo, drop=lambda: None, removed=None):
        self.places = places
        self.undo = undo
        self.drop = drop
        self.removed = removed


class ForgetfulDisk(fuse.Operations):
    use_ns = True
    flag_nullpath_ok = 1

    def __init__(self, root, grave):
        self.root = root
        self.grave = grave
        self.turn = threading.RLock()
        self.folders = {}
        self.is_off = False
        self.files = {}
        self.names = []
        self.count = 0

    def __call__(self, op, *args):
        with self.turn:
            if self.is_off:
                raise fuse.FuseOSError(errno.EIO)
            try:
                return getattr(self, op)(*args)
            except OSError as error:
                raise fuse.FuseOSError(error.errno)

    # Files

    def at(self, path):
        return self.root + path

    def unsynced(self, path, fh):
        """The record of an open file, or of the one at a path, made before its first change."""
        found = os.fstat(fh) if fh is not None else os.lstat(self.at(path))
        if not stat.S_ISREG(found.st_mode):
            return None
        known = self.files.get(found.st_ino)
        if known is None:
            # A handle of its own: the file may be closed, renamed or removed before it is synced.
            name = "/proc/self/fd/%d" % fh if fh is not None else self.at(path)
            known = self.files[found.st_ino] = Unsynced(os.open(name, os.O_RDWR))
        return known

    def synced(self, ino, datasync):
        known = self.files.get(ino)
        if known is None:
            return
        now = os.fstat(known.fd)
        if datasync and now.st_size == known.before.st_size:
            known.pages = {}
            return
        os.close(known.fd)
        del self.files[ino]

    def getattr(self, path, fh=None):
        found = os.fstat(fh) if fh is not None else os.lstat(self.at(path))
        return {
            **{name: getattr(found, name) for name in ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")},
            **{name: getattr(found, name + "_ns") for name in ("st_atime", "st_mtime", "st_ctime")},
        }

    def access(self, path, mode):
        return 0

    def statfs(self, path):
        found = os.statvfs(self.root)
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")
        return {name: getattr(found, name) for name in names}

    def create(self, path, mode, fi=None):
        fd = os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        os.fchmod(fd, mode)
        self.unsynced(path, fd)
        self.made(path)
        return fd

    def open(self, path, flags):
        fd = os.open(self.at(path), (flags & os.O_ACCMODE & ~os.O_WRONLY) | (os.O_RDWR if flags & os.O_ACCMODE else 0))
        if flags & os.O_TRUNC:
            self.truncate(path, 0, fd)
        return fd

    def release(self, path, fh):
        os.close(fh)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        known = self.unsynced(path, fh)
        known.keep(offset, offset + len(data))
        # Between the end and what is written there are zeros from now on: the end's page changes too.
        size = os.fstat(fh).st_size
        if offset > size:
            known.keep(size, size + 1)
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        known = self.unsynced(path, fh)
        known.keep(length, known.before.st_size)
        os.ftruncate(known.fd, length)

    def chmod(self, path, mode):
        self.unsynced(path, None)
        os.chmod(self.at(path), mode)

    def chown(self, path, uid, gid):
        self.unsynced(path, None)
        os.lchown(self.at(path), uid, gid)

    def utimens(self, path, times=None):
        self.unsynced(path, None)
        os.utime(self.at(path), ns=times, follow_symlinks=False)

    def flush(self, path, fh):
        return 0

    def fsync(self, path, datasync, fh):
        self.synced(os.fstat(fh).st_ino, datasync)
        return 0

    # Names

    def opendir(self, path):
        return os.open(self.at(path), os.O_RDONLY | os.O_DIRECTORY)

    def releasedir(self, path, fh):
        os.close(fh)

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(fh)]

    def readlink(self, path):
        return os.readlink(self.at(path))

    def place(self, path):
        """A name in its folder, which is held open: it may have another name itself before this one is synced."""
        folder, name = os.path.split(path)
        ino = os.lstat(self.at(folder)).st_ino
        if ino not in self.folders:
            self.folders[ino] = os.open(self.at(folder), os.O_PATH | os.O_DIRECTORY)
        return (ino, name)

    def made(self, path):
        """Notes that something new is at a path."""
        place = self.place(path)
        self.names.append(NameChange([place], lambda: self.bury(place)))

    def bury(self, place):
        """Takes what has this name to where nobody looks. Result: its name there."""
        self.count += 1
        kept = os.path.join(self.grave, str(self.count))
        os.rename(place[1], kept, src_dir_fd=self.folders[place[0]])
        return kept

    def dig_out(self, kept, place):
        os.rename(kept, place[1], dst_dir_fd=self.folders[place[0]])

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)
        os.chmod(self.at(path), mode)
        self.made(path)

    def mknod(self, path, mode, dev):
        os.mknod(self.at(path), mode, dev)
        self.made(path)

    def symlink(self, target, source):
        os.symlink(source, self.at(target))
        self.made(target)

    def link(self, target, source):
        os.link(self.at(source), self.at(target), follow_symlinks=False)
        self.made(target)

    def unlink(self, path):
        if stat.S_ISDIR(os.lstat(self.at(path)).st_mode):
            raise OSError(errno.EISDIR, path)
        self.remove(path)

    def rmdir(self, path):
        if os.listdir(self.at(path)):
            raise OSError(errno.ENOTEMPTY, path)
        self.remove(path)

    def remove(self, path):
        place = self.place(path)
        ino = os.lstat(self.at(path)).st_ino
        kept = self.bury(place)
        self.names.append(NameChange([place], lambda: self.dig_out(kept, place), lambda: destroy(kept), ino))

    def rename(self, old, new):
        moved = os.lstat(self.at(old))
        source, target = self.place(old), self.place(new)
        kept = removed = None
        if os.path.lexists(self.at(new)):
            there = os.lstat(self.at(new))
            if os.path.samestat(moved, there):
                return
            if stat.S_ISDIR(there.st_mode) != stat.S_ISDIR(moved.st_mode):
                raise OSError(errno.EISDIR if stat.S_ISDIR(there.st_mode) else errno.ENOTDIR, new)
            if stat.S_ISDIR(there.st_mode) and os.listdir(self.at(new)):
                raise OSError(errno.ENOTEMPTY, new)
            kept, removed = self.bury(target), there.st_ino
        os.rename(self.at(old), self.at(new))

        def undo():
            os.rename(target[1], source[1], src_dir_fd=self.folders[target[0]], dst_dir_fd=self.folders[source[0]])
            if kept:
                self.dig_out(kept, target)

        self.names.append(NameChange([source, target], undo, lambda: kept and destroy(kept), removed))

    def fsyncdir(self, path, datasync, fh):
        folder = os.fstat(fh).st_ino
        self.commit({change for change in self.names if any(place[0] == folder for place in change.places)})
        return 0

    def commit(self, chosen):
        """Changes are lasting from now on, and with each what was changed before it under the same names, or in a folder it has removed."""
        places, removed = set(), set()
        rest, lasting = [], []
        for change in reversed(self.names):
            if change in chosen or any(place in places or place[0] in removed for place in change.places):
                places.update(change.places)
                removed.add(change.removed)
                lasting.append(change)
            else:
                rest.append(change)
        self.names = rest[::-1]
        for change in reversed(lasting):
            change.drop()

    # The end

    def cut(self, mode, seed):
        with self.turn:
            self.is_off = True
            chance = random.Random(seed)
            if mode == "names":
                self.commit(set(self.names))
            if mode == "some":
                self.commit(self.some_names(chance))
            lost = {"names": len(self.names), "pages": 0, "files": 0}
            for known in self.files.values():
                pages = self.undo_file(known, chance if mode == "some" else None)
                lost["pages"] += pages
                lost["files"] += pages > 0
            for change in reversed(self.names):
                change.undo()
            return lost

    def some_names(self, chance):
        """Of each folder all changes up to some moment."""
        folders = sorted({place[0] for change in self.names for place in change.places})
        chosen = set()
        for folder in folders:
            own = [change for change in self.names if any(place[0] == folder for place in change.places)]
            chosen.update(own[: chance.randint(0, len(own))])
        return chosen

    def undo_file(self, known, chance):
        """Result: how many pages are as they were."""
        before, now = known.before, os.fstat(known.fd)
        last = (max(before.st_size, now.st_size) + PAGE - 1) // PAGE
        written = [page for page in range(last) if known.written(page)]
        lost = {page for page in written if chance is None or chance.random() < 0.5}
        is_kept = chance is not None and chance.random() < 0.5
        if not is_kept:
            # A file that ends earlier has none of what was behind its end; one that was shortened has it again.
            os.ftruncate(known.fd, before.st_size)
            lost = {page for page in lost if page in known.pages} if now.st_size >= before.st_size else set(known.pages)
        for page in lost:
            old = known.pages.get(page, b"")
            end = min(PAGE, (now if is_kept else before).st_size - page * PAGE)
            if end > 0:
                os.pwrite(known.fd, old[:end].ljust(end, b"\0"), page * PAGE)
        if not is_kept:
            os.fchmod(known.fd, stat.S_IMODE(before.st_mode))
            os.fchown(known.fd, before.st_uid, before.st_gid)
            os.utime(known.fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            os.utime(known.fd, ns=(now.st_atime_ns, now.st_mtime_ns))
        return len(lost)


def destroy(path):
    """What is removed for good: a file, a link or an empty folder."""
    try:
        os.unlink(path)
    except IsADirectoryError:
        os.rmdir(path)


def main():
    mountpoint, backing = sys.argv[1:]
    root, grave = os.path.join(backing, "disk"), os.path.join(backing, "removed")
    shutil.rmtree(grave, ignore_errors=True)
    for folder in (root, grave):
        os.makedirs(folder, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.umask(0)
    disk = ForgetfulDisk(root, grave)

    def listen():
        for line in sys.stdin:
            _, mode, seed = line.split()
            try:
                answer = disk.cut(mode, int(seed))
            except Exception:
                answer = {"error": traceback.format_exc()}
            print(json.dumps(answer), flush=True)
        # Whoever started this has ended.
        subprocess.run(["umount", "--lazy", mountpoint], stderr=subprocess.DEVNULL)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    fuse.FUSE(disk, mountpoint, foreground=True, nothreads=True, use_ino=True, hard_remove=True, default_permissions=True, allow_other=True,
              attr_timeout=60, entry_timeout=60, kernel_cache=True, big_writes=True, max_write=131072, fsname="cellar-power")


main()
