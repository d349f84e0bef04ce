"""What is counted as it happens: plain numbers that only the reactor's thread changes.

They are read in another thread when somebody scrapes, who copies a container in one step.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple, TypeAlias


class Buckets(NamedTuple):
    """What a histogram has counted."""

    bounds: tuple[float, ...]
    """Upper bounds, inclusive, the smallest first."""
    numbers: list[int]
    """How many were up to each bound, smaller ones included; the last has no bound, and so is the number of all."""
    sum: float
    """Of all sizes."""


class Histogram:
    """How many of something there were, by size.

    Each backend has some, and there may be a hundred thousand backends.  So numbers lie in an array, eight bytes each,
    and the collector of cycles has not to look at every one of them.
    """

    __slots__ = ("_numbers", "_sum", "bounds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin with none.

        :param bounds: upper bounds, inclusive, the smallest first; beyond the last there is no bound.
        """
        self.bounds = bounds
        self._numbers = array("Q", bytes(8 * (len(bounds) + 1)))
        """How many were up to each bound and above the one before."""
        self._sum = 0.0

    def add(self, size: float) -> None:
        """Count one of this size."""
        self._numbers[bisect_left(self.bounds, size)] += 1
        self._sum += size

    def include(self, other: Histogram) -> None:
        """Count all that another one of the same bounds has counted."""
        for place, number in enumerate(other._numbers):
            self._numbers[place] += number
        self._sum += other._sum

    def numbers(self) -> array[int]:
        """How many were up to each bound and above the one before; may be asked in any thread."""
        return self._numbers[:]

    def buckets(self) -> Buckets:
        """All that was counted so far; may be asked in any thread."""
        # Nothing is called in between, here or in `add`, so that no other thread runs: each size is in both or in none.
        # What is being included may be in one of them alone; the next time it is in both.
        numbers, total = self._numbers[:], self._sum
        return Buckets(self.bounds, list(accumulate(numbers)), total)


class HandshakeResult(StrEnum):
    """How a TLS handshake ended."""

    OK = "ok"
    REFUSED = "refused"
    """The peer's certificate, or the lack of one."""
    FAILED = "failed"
    """The two do not agree, or it was no TLS."""
    TIMEOUT = "timeout"
    """It took too long."""
    LEFT = "left"
    """The client went away, or was sent away because it took too long."""


Handshakes: TypeAlias = dict[HandshakeResult, int]
"""How many ended how."""


def no_handshakes() -> Handshakes:
    """Every result, so that each of them is shown from the start."""
    return dict.fromkeys(HandshakeResult, 0)


WAIT_BUCKETS = (
    *(0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Upper bounds of waits for a connection, in seconds: an idle one is there at once, a new one takes milliseconds."""

LAG_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Of how late the event loop was, in seconds."""


class PoolCounts:
    """What is counted of the connections to one provider."""

    __slots__ = ("at_once", "opened", "waits")

    def __init__(self) -> None:
        self.opened = 0
        """Connections that were made."""
        self.at_once = 0
        """Who asked and got an idle one."""
        self.waits = Histogram(WAIT_BUCKETS)
        """For a connection, in seconds, of all others."""

    def all_waits(self) -> Buckets:
        """Waits, among them those that were none; may be asked in any thread."""
        waits = self.waits.buckets()
        return waits._replace(numbers=[number + self.at_once for number in waits.numbers])


class ListenerCounts(NamedTuple):
    """How many connections the clients of one listener have."""

    listener: str
    """The name given with --listen, or empty."""
    opened: int
    """Since the start."""
    active: int
    """With a request that has no whole answer yet."""
    idle: int
