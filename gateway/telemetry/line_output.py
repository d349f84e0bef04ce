"""The file or pipe that a log goes to.  Writing to it never makes the gateway wait."""

from __future__ import annotations

import os
import select
import stat

STDOUT = "-"
"""The path that stands for the standard output."""

_STANDARD_OUTPUT = 1
"""Its descriptor; `sys.stdout` will not do, for twistd makes it a part of its own log."""


class LineOutput:
    """A log's file, opened to append, or the standard output."""

    def __init__(self, path: str, *, private: bool = False) -> None:
        """Open it.

        :param path: of the file, created if need be, readable by owner and group; `-` is the standard output.
        :param private: one that is created is readable by its owner alone.
        :raises OSError: where it cannot be opened; a named pipe that nobody reads is one such.
        """
        self.path = path
        self._mode = 0o600 if private else 0o640
        self.within_line = False
        """The last byte that was written did not end a line."""
        self._open()

    def _open(self) -> None:
        if self.path == STDOUT:
            self._descriptor = os.dup(_STANDARD_OUTPUT)
        else:
            # Non-blocking for the sake of named pipes; a file does not care.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, self._mode)
        opened = os.fstat(self._descriptor)
        self._is_file = stat.S_ISREG(opened.st_mode)
        self._identity = opened.st_dev, opened.st_ino
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, data: bytes) -> int:
        """Write what goes without waiting, and tell how many bytes that was.

        :raises OSError: where nothing could be written for another reason than that the reader is slow.
        """
        # The standard output may be shared with other processes, so it is not made non-blocking.  A pipe
        # that says it can be written to takes PIPE_BUF bytes at once (pipe(7)).
        step = len(data) if self._is_file else select.PIPE_BUF
        view = memoryview(data)
        taken = 0
        while taken < len(data) and (self._is_file or self._poll.poll(0)):
            try:
                taken += os.write(self._descriptor, view[taken : taken + step])
            except BlockingIOError:
                break
            except OSError:
                if taken:
                    break
                raise
        if taken:
            self.within_line = view[taken - 1] != ord("\n")
        return taken

    def is_moved(self) -> bool:
        """Tell whether the path leads to another file by now, or to none: somebody has rotated the log."""
        if not self._is_file or self.path == STDOUT:
            return False
        try:
            found = os.stat(self.path)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self._identity

    def reopen(self) -> None:
        """Open the path anew, where a rotation has moved the file away.

        :raises OSError: where it cannot be opened; the old file stays in use.
        """
        old = self._descriptor
        self._open()
        os.close(old)
        self.within_line = False

    def close(self) -> None:
        """Write no more; who tries gets an OSError."""
        os.close(self._descriptor)
        # The number will soon be somebody's socket.
        self._descriptor = -1
