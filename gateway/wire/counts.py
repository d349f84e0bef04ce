"""What is counted as it happens: plain numbers that only the reactor's thread changes.

They are read in another thread when somebody scrapes, who copies a container in one step.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from typing import NamedTuple, TypeAlias

TOGETHER = 512
"""Sizes that a histogram sorts into its buckets in one go: by itself each would cost four times as much."""


class Buckets(NamedTuple):
    """What a histogram has counted."""

    numbers: list[int]
    """How many were up to each bound, smaller ones included; the last has no bound, and so is the number of all."""
    sum: float
    """Of all sizes."""


class Histogram:
    """How many of something there were, by size."""

    __slots__ = ("_counted", "_fresh", "bounds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Begin with none.

        :param bounds: upper bounds, inclusive, the smallest first; beyond the last there is no bound.
        """
        self.bounds = bounds
        self._fresh: list[float] = []
        """Sizes that are in no bucket yet."""
        self._counted = Buckets([0] * (len(bounds) + 1), 0.0), self._fresh
        """All others, which are never changed, and that list: whoever reads both in one step counts none twice."""

    def add(self, size: float) -> None:
        """Count one of this size."""
        fresh = self._fresh
        fresh.append(size)
        if len(fresh) >= TOGETHER:
            self._fresh = []
            self._counted = _with(self.bounds, self._counted[0], fresh), self._fresh

    def buckets(self) -> Buckets:
        """All that was counted so far; may be asked in any thread."""
        counted, fresh = self._counted
        return _with(self.bounds, counted, fresh.copy())


def _with(bounds: tuple[float, ...], counted: Buckets, sizes: list[float]) -> Buckets:
    """These buckets and these sizes together."""
    sizes.sort()
    below = [*(bisect_right(sizes, bound) for bound in bounds), len(sizes)]
    return Buckets([sum(pair) for pair in zip(counted.numbers, below, strict=True)], counted.sum + sum(sizes))


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
        numbers, seconds = self.waits.buckets()
        return Buckets([number + self.at_once for number in numbers], seconds)


class ListenerCounts(NamedTuple):
    """How many connections the clients of one listener have."""

    listener: str
    """The name given with --listen, or empty."""
    opened: int
    """Since the start."""
    active: int
    """With a request that has no whole answer yet."""
    idle: int
