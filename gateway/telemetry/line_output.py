"""The file or pipe that a log goes to.

Writing to it never makes the gateway wait, and cuts no line that it need not.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from threading import Lock

STDOUT = "-"
"""The path that stands for the standard output."""

_STANDARD_OUTPUT = 1
"""Its descriptor; `sys.stdout` will not do, for twistd makes it a part of its own log."""

_ITSELF = "/proc/self/fd/1"
"""Linux's name for what is open there."""


class LineOutput:
    """A log's file, opened to append, or the standard output.

    Several logs may have one pipe or terminal, see `take_turns_with`.  Only of a line that is longer than what a pipe
    takes at once a part may be written, and then nobody else writes there until it has ended.
    """

    def __init__(self, path: str, *, private: bool = False) -> None:
        """Open it.

        :param path: of the file, created if need be, readable by owner and group; `-` is the standard output.
        :param private: one that is created is readable by its owner alone.
        :raises OSError: where it cannot be opened; a named pipe that nobody reads is one such.
        """
        self.path = path
        self._mode = 0o600 if private else 0o640
        self._turn = Turn()
        self._open()

    def _open(self) -> None:
        if self.path == STDOUT:
            self._descriptor = _standard_output()
        else:
            # Non-blocking for the sake of named pipes; a file does not care.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
            self._descriptor = os.open(self.path, flags, self._mode)
        opened = os.fstat(self._descriptor)
        self._is_file = stat.S_ISREG(opened.st_mode)
        self._identity = opened.st_dev, opened.st_ino
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)

    def is_same(self, other: LineOutput) -> bool:
        """Tell whether both lead to the same file, pipe or terminal, by whatever names."""
        return self._identity == other._identity

    def take_turns_with(self, other: LineOutput) -> None:
        """Both lead to the same, and neither is to write within a line of the other's."""
        self._turn = other._turn

    def takes_turns_with(self, other: LineOutput) -> bool:
        """Tell whether one of the two waits for the end of the other's line."""
        return self._turn is other._turn

    @property
    def within_line(self) -> bool:
        """The last byte that was written here did not end a line."""
        return self._turn.within_line_of is self

    def write(self, data: bytes) -> int:
        """Write what goes without waiting, and tell how many bytes that was.

        :param data: lines, the first of which may have been begun before.
        :raises OSError: where nothing could be written for another reason than that the reader is slow.
        """
        turn = self._turn
        # It is another thread's for microseconds; or it is held by the very call that this one has interrupted, for the
        # collector may run at any time, and what it frees may have something to log.
        if not turn.lock.acquire(blocking=False):
            return 0
        try:
            if turn.within_line_of not in (None, self):
                return 0
            if turn.is_cut and not self._write(b"\n"):
                return 0
            turn.is_cut = False
            try:
                taken = self._write(data)
            except OSError:
                if turn.within_line_of is self:
                    turn.within_line_of, turn.is_cut = None, True
                raise
            if taken:
                turn.within_line_of = None if data[taken - 1] == _LINE_END else self
            return taken
        finally:
            turn.lock.release()

    def _write(self, data: bytes) -> int:
        view = memoryview(data)
        taken = 0
        while taken < len(data) and (self._is_file or self._poll.poll(0)):
            try:
                taken += os.write(self._descriptor, view[taken : self._end_of_step(data, taken)])
            except BlockingIOError:
                break
            except OSError:
                if taken and self._is_file:
                    taken = self._take_back(data, taken)
                if not taken:
                    raise
                break
        return taken

    def _end_of_step(self, data: bytes, begin: int) -> int:
        """Where to end what is written at once.

        A pipe that says it can be written to takes `PIPE_BUF` bytes at once, and nobody else's come between (pipe(7)).
        """
        end = begin + select.PIPE_BUF
        if self._is_file or end >= len(data):
            return len(data)
        return data.rfind(b"\n", begin, end) + 1 or end

    def _take_back(self, data: bytes, taken: int) -> int:
        """Remove from a file what it has got of a line that it has no room for, unless somebody has written behind it.

        :return: how many bytes are left of those that it had taken.
        """
        begun = taken - (data.rfind(b"\n", 0, taken) + 1)
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        with suppress(OSError):
            if begun and os.fstat(self._descriptor).st_size == end:
                os.ftruncate(self._descriptor, end - begun)
                os.lseek(self._descriptor, end - begun, os.SEEK_SET)
                return taken - begun
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
        old, before = self._descriptor, self._identity
        self._open()
        os.close(old)
        if self._identity != before:
            self._end_turn()

    def close(self) -> None:
        """Write no more; who tries gets an OSError."""
        os.close(self._descriptor)
        # The number will soon be somebody's socket.
        self._descriptor = -1
        if self._end_turn():
            self._turn.is_cut = True

    def _end_turn(self) -> bool:
        """Let others write; tell whether a line was begun here that nobody will end."""
        if self._turn.within_line_of is not self:
            return False
        self._turn.within_line_of = None
        return True


_LINE_END = ord("\n")


class Turn:
    """Whose turn it is at one pipe, of several logs."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Somebody writes."""
        self.within_line_of: LineOutput | None = None
        """Who has begun a line, and goes on first."""
        self.is_cut = False
        """A line was begun that nobody will end: the next one has to."""


def _standard_output() -> int:
    """A descriptor for it that does not wait, where one is to be had.

    That belongs to what is open and not to its descriptor, and other processes have the same open (open(2),
    `O_NONBLOCK`): so a pipe or a terminal is opened once more.  Where that is not allowed, and for sockets, it has to
    do that nothing is written before `poll` says that there is room.
    """
    kind = os.fstat(_STANDARD_OUTPUT).st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        with suppress(OSError):
            return os.open(_ITSELF, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(_STANDARD_OUTPUT)
