"""What the kernel knows of the other end and Twisted does not tell.

A transport whose reading is paused has left epoll: neither FIN nor RST is reported.  And a transport that
holds bytes back does not say whether the peer takes any.  Both are one system call on the descriptor.
"""

from __future__ import annotations

import select
import termios
from fcntl import ioctl
from sys import byteorder

from twisted.internet.interfaces import IFileDescriptor


def descriptor(transport: object) -> int | None:
    """The file descriptor under this transport, TLS or not; None where there is none (in memory, closed)."""
    if not IFileDescriptor.providedBy(transport):
        return None
    number: int = transport.fileno()
    return number if number >= 0 else None


def has_left(transport: object) -> bool:
    """Tell whether the peer has closed its side or reset the connection.

    A FIN behind more bytes than our kernel's buffer holds has not arrived yet.
    """
    number = descriptor(transport)
    if number is None:
        return False
    poll = select.poll()
    poll.register(number, select.POLLRDHUP)  # POLLHUP and POLLERR are always reported
    return bool(poll.poll(0))


def has_unread(transport: object) -> bool:
    """Tell whether bytes of the peer wait in the kernel."""
    return _count(transport, termios.FIONREAD) > 0


def unacknowledged(transport: object) -> int:
    """Bytes in the kernel that the peer's kernel has not taken yet; 0 where nobody knows.

    While there is a backlog this number changes whenever the peer takes something.
    """
    return _count(transport, termios.TIOCOUTQ)


def _count(transport: object, question: int) -> int:
    number = descriptor(transport)
    if number is None:
        return 0
    try:
        answer: bytes = ioctl(number, question, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, byteorder)


class Backlog:
    """What waits for one peer, and for how long it has taken none of it."""

    __slots__ = ("_left", "_since", "_transport")

    def __init__(self, transport: object) -> None:
        self._transport = transport
        self._left = -1
        """Bytes in the kernel when the peer last took some; -1 when nothing waits."""
        self._since = 0.0

    def clear(self) -> None:
        """Nothing waits."""
        self._left = -1

    def stalled_for(self, now: float) -> float:
        """Seconds for which bytes have waited and the peer took none, as far as was looked."""
        left = unacknowledged(self._transport)
        if left != self._left:
            self._left = left
            self._since = now
        return now - self._since
