"""Takes a reading of the metrics now and then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.serving.page.reading import Reading, read
from gateway.serving.page.work import Work
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.sources import Sources

WATCHED_SECONDS = 2.0
"""Between two readings while somebody looks."""

UNWATCHED_SECONDS = 10.0
"""Between two readings while nobody does: who comes wants to see what has been."""


class Sampler:
    """Takes readings and hands them on."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        metrics: Metrics,
        sources: Sources,
        work: Work,
        wall_clock: Callable[[], float],
        taken: Callable[[Reading], Any],
    ) -> None:
        """Be ready to start.

        :param sources: what is asked besides, in another thread.
        :param work: how readings are taken, and when there may be another one.
        :param wall_clock: seconds of Unix time.
        :param taken: called with each reading, in the reactor's thread; the next one waits for what it returns, if
            that is a Deferred.
        """
        self._reactor = reactor
        self._metrics = metrics
        self._sources = sources
        self._last: Reading | None = None
        self._work = work
        self._wall_clock = wall_clock
        self._taken = taken
        self._is_watched = False
        self._running = False
        self._is_reading = False
        self._next: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        """For the reading that is being taken."""

    def start(self) -> None:
        """Take the first reading now."""
        self._running = True
        self._take()

    def stop(self) -> None:
        """Take no more."""
        self._running = False
        self._cancel()

    def watched(self, is_watched: bool) -> None:
        """Somebody looks, or nobody does any more."""
        self._is_watched = is_watched
        if is_watched and self._running and not self._is_reading:
            self._cancel()
            self._schedule(0.0)

    def look(self) -> Deferred[None]:
        """Fires once there is a reading of now; at once where it is too soon after the last one."""
        is_resting = self._work.rested_at > self._reactor.seconds()
        if not self._is_reading and (is_resting or not self._running):
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self._is_reading:
            self._cancel()
            self._take()
        return waiting

    def _take(self) -> None:
        self._next = None
        self._is_reading = True
        reading = self._work.do(partial(self._read, self._reactor.seconds()))
        reading.addCallback(self._has_taken).addErrback(self._has_failed).addBoth(self._go_on)

    def _read(self, at: float) -> Reading:
        return read(self._metrics, self._sources, at, self._wall_clock(), self._last)

    def _has_taken(self, reading: Reading) -> Any:
        self._last = reading
        return self._taken(reading) if self._running else None

    def _has_failed(self, failure: Failure) -> None:
        self._log.failure("The metrics could not be read for the page", failure)

    def _go_on(self, result: Any) -> None:
        self._is_reading = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
        if self._running:
            self._schedule(WATCHED_SECONDS if self._is_watched else UNWATCHED_SECONDS)

    def _schedule(self, seconds: float) -> None:
        wait = max(seconds, self._work.rested_at - self._reactor.seconds())
        self._next = self._reactor.callLater(wait, self._take)

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
