"""
Mounts a folder as a volume that takes several spellings of a name for one, for tests:

    folding-volume.py FOLDER MOUNT [nfd] [case] [inodes]

nfd     names are stored and listed decomposed, as HFS+ does; `é` is found by either form
case    `A` and `a` are one name, listed as it was first written
inodes  numbers of files are those of the folder; else they are made up anew at each mount
"""

import errno
import os
import sys
import unicodedata

from fusepy import FUSE, FuseOSError, Operations


class Folding(Operations):
    def __init__(self, root, words):
        self.root = root
        self.is_nfd = "nfd" in words
        self.is_caseless = "case" in words
        self.has_inodes = "inodes" in words

    def kept(self, name):
        return unicodedata.normalize("NFD", name) if self.is_nfd else name

    def folded(self, name):
        return self.kept(name).casefold() if self.is_caseless else self.kept(name)

    def real(self, path):
        at = self.root
        for name in path.strip("/").split("/"):
            if not name:
                continue
            wanted = self.folded(name)
            names = os.listdir(at) if os.path.isdir(at) else []
            at = os.path.join(at, next((one for one in names if self.folded(one) == wanted), self.kept(name)))
        return at

    def access(self, path, mode):
        if not os.path.lexists(self.real(path)):
            raise FuseOSError(errno.ENOENT)

    def getattr(self, path, fh=None):
        stats = os.lstat(self.real(path))
        words = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_atime", "st_mtime", "st_ctime")
        return {word: getattr(stats, word) for word in words + (("st_ino",) if self.has_inodes else ())}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(self.real(path))]

    def rename(self, old, new):
        source, target = self.real(old), self.real(new)
        # The new spelling counts, also when only that is new.
        wanted = os.path.join(os.path.dirname(target), self.kept(os.path.basename(new)))
        if target not in (source, wanted):
            os.rename(source, target)
            source = target
        os.rename(source, wanted)

    def link(self, target, source):
        if not self.has_inodes:
            raise FuseOSError(errno.EPERM)
        os.link(self.real(source), self.real(target))

    def create(self, path, mode, fi=None):
        return os.open(self.real(path), os.O_RDWR | os.O_CREAT, mode)

    def open(self, path, flags):
        return os.open(self.real(path), flags)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self.real(path), length)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def fsyncdir(self, path, datasync, fh):
        return 0

    def release(self, path, fh):
        os.close(fh)

    def mkdir(self, path, mode):
        os.mkdir(self.real(path), mode)

    def rmdir(self, path):
        os.rmdir(self.real(path))

    def unlink(self, path):
        os.unlink(self.real(path))

    def utimens(self, path, times=None):
        os.utime(self.real(path), times)

    def chmod(self, path, mode):
        os.chmod(self.real(path), mode)

    def chown(self, path, uid, gid):
        os.chown(self.real(path), uid, gid)

    def statfs(self, path):
        stats = os.statvfs(self.root)
        return {word: getattr(stats, word) for word in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_namemax")}


folder, mount, *words = sys.argv[1:]
more = {"use_ino": True} if "inodes" in words else {}
FUSE(Folding(folder, words), mount, foreground=True, nothreads=True, default_permissions=True, **more)
