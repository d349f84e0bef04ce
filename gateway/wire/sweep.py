"""One coarse timer for all deadlines of the wire.

Arming a deadline is one assignment to a field; a `callLater` each would cost some 5 µs a request
(`docs/performance.md`).  Time is monotonic: a wall clock that jumps ends nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gateway.wire.counts import LAG_BUCKETS, Histogram
from gateway.wire.limits import SWEEP_SECONDS

NEVER = float("inf")
"""A deadline that is not armed."""


class Swept(Protocol):
    """Something with deadlines."""

    def swept(self, now: float) -> None:
        """Look at your deadlines; `now` is in seconds of the sweep's clock."""


class Sweep:
    """Asks everything that has deadlines, every quarter of a second, to look at them."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, seconds: Callable[[], float]) -> None:
        """Make a sweep that does not run yet.

        :param seconds: the clock of deadlines: `time.monotonic`, or a test's `Clock.seconds`.
        """
        self._reactor = reactor
        self._members: set[Swept] = set()
        self._call: IDelayedCall | None = None
        self._due = NEVER
        self._soon: list[Callable[[], None]] = []
        self.seconds = seconds
        self.lag = Histogram(LAG_BUCKETS)
        """How late the sweep was, in seconds: as late as everything that the reactor's loop does."""

    def start(self) -> None:
        """Begin sweeping."""
        self._call_again(self.seconds())

    def stop(self) -> None:
        """Sweep no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def watch(self, member: Swept) -> None:
        """Ask this member from now on."""
        self._members.add(member)

    def forget(self, member: Swept) -> None:
        """Ask it no longer; nothing happens if it was not watched."""
        self._members.discard(member)

    def later(self, seconds: float, call: Callable[[], None]) -> IDelayedCall:
        """Call this after so many seconds, more exactly than the sweep would; for what is rare."""
        return self._reactor.callLater(seconds, call)

    def soon(self, call: Callable[[], None]) -> None:
        """Call this when the reactor's turn is over, in the order of asking; a timer serves all who ask in one."""
        if not self._soon:
            self._reactor.callLater(0, self._turn_over)
        self._soon.append(call)

    def _turn_over(self) -> None:
        calls, self._soon = self._soon, []
        for call in calls:
            try:
                call()
            except Exception:  # one caller's fault must not keep the others waiting
                self._log.failure("a call at the end of a turn failed")

    def _call_again(self, now: float) -> None:
        self._due = now + SWEEP_SECONDS
        self._call = self._reactor.callLater(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = self.seconds()
        self.lag.add(max(now - self._due, 0.0))
        self._call_again(now)
        for member in tuple(self._members):
            if member not in self._members:
                continue
            try:
                member.swept(now)
            except Exception:  # one member's fault must not end every other's deadlines
                self._log.failure("a deadline could not be looked at")
