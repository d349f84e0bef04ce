"""What a file holds, read at most once for each time that it changes, and what tells that it has."""

from __future__ import annotations

import errno
import os
import stat
import time
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from gateway.resources.sources import FILE_BYTES

_FRESH_SECONDS = 2.0
"""A file that was changed this short a time before it was read may change again within one tick of the clock that
its times are taken from (10 ms on Linux, two seconds on FAT): nothing then tells that it has."""

Signature = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of anything: equal ones, the same content."""


Identity = tuple[int, int]
"""Device and inode: whether a file or folder is still the one that it was."""


@frozen
class FileContent:
    """What a file held when it was read."""

    content: bytes
    identity: Identity
    signature: Signature | None
    """None where it was so fresh that only reading it again can tell whether it has changed."""

    def may_have_changed(self, path: Path | str) -> bool:
        """Tell whether it has to be read again.

        :raises OSError: where there is nothing to be read any more.
        """
        return self.signature is None or signature_of(os.stat(path)) != self.signature

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return sha256(self.content).hexdigest()


def read_content(path: Path | str) -> FileContent:
    """Read a file, but at most one byte more than a file of conf.d may have.

    :raises OSError: where it cannot be read or is no regular file: a pipe or a device may have no end.
    """
    # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        content = file.read(FILE_BYTES + 1)
        return FileContent(content, identity_of(before), settled_signature(before, os.fstat(descriptor)))


def identity_of(status: os.stat_result) -> Identity:
    """Which file or folder this is."""
    return status.st_dev, status.st_ino


def signature_of(status: os.stat_result) -> Signature:
    """What changes with every change, if some time is between them."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def settled_signature(before: os.stat_result, after: os.stat_result) -> Signature | None:
    """What tells from now on whether a file or folder has changed since it was read.

    :param before: its status before it was read; `after`, when it had been.
    :return: None where it changed meanwhile, or so shortly before that it may have.
    """
    signature = signature_of(before)
    # A clock that was set back makes nothing old.
    is_old = time.time() - before.st_ctime > _FRESH_SECONDS
    return signature if is_old and signature_of(after) == signature else None
