"""What a file holds, read at most once for each time that it changes."""

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


@frozen
class FileContent:
    """What a file held when it was read."""

    content: bytes
    signature: Signature | None
    """None where it was so fresh that only reading it again can tell whether it has changed."""

    def may_have_changed(self, path: Path | str) -> bool:
        """Tell whether it has to be read again.

        :raises OSError: where there is nothing to be read any more.
        """
        return self.signature is None or _signature(os.stat(path)) != self.signature

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return sha256(self.content).hexdigest()


def read_content(path: Path) -> FileContent:
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
        settled = _signature(before) == _signature(os.fstat(descriptor)) and _is_old(before)
        return FileContent(content, _signature(before) if settled else None)


def _signature(status: os.stat_result) -> Signature:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_old(status: os.stat_result) -> bool:
    """Tell whether it was changed long enough ago; a clock that was set back makes nothing old."""
    return time.time() - status.st_ctime > _FRESH_SECONDS
