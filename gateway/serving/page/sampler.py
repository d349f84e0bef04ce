"""Takes a reading of the metrics now and then, at a cost that is bounded whatever there is to read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.serving.page.reading import Reading, read
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.sources import Sources

WATCHED_SECONDS = 2.0
"""Between two readings while somebody looks."""

UNWATCHED_SECONDS = 10.0
"""Between two readings while nobody does: who comes wants to see what has been."""

REST = 50.0
"""A reading that took a second is followed by so many seconds without one: all of them take a fiftieth of a core at
most."""

T = TypeVar("T")


class InThread(Protocol):
    """Calls a function in another thread: `partial(deferToThreadPool, reactor, pool)`."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Tell what it returns."""


class Sampler:
    """Takes readings and hands them on."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        metrics: Metrics,
        sources: Sources,
        in_thread: InThread,
        wall_clock: Callable[[], float],
        taken: Callable[[Reading], None],
    ) -> None:
        """Be ready to start.

        :param sources: what is asked besides, in another thread.
        :param wall_clock: seconds of Unix time.
        :param taken: called with each reading, in the reactor's thread.
        """
        self._reactor = reactor
        self._metrics = metrics
        self._sources = sources
        self._last: Reading | None = None
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        self._taken = taken
        self._is_watched = False
        self._running = False
        self._is_reading = False
        self._next: IDelayedCall | None = None
        self._earliest = 0.0

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

    def _take(self) -> None:
        self._next = None
        self._is_reading = True
        began = self._reactor.seconds()
        reading = self._in_thread(partial(self._read, began))
        reading.addCallbacks(self._has_taken, self._has_failed)
        reading.addBoth(self._go_on, began)

    def _read(self, began: float) -> Reading:
        return read(self._metrics, self._sources, began, self._wall_clock(), self._last)

    def _has_taken(self, reading: Reading) -> None:
        self._last = reading
        if self._running:
            self._taken(reading)

    def _has_failed(self, failure: Failure) -> None:
        self._log.failure("The metrics could not be read for the page", failure)

    def _go_on(self, result: Any, began: float) -> Any:
        self._is_reading = False
        now = self._reactor.seconds()
        self._earliest = now + (now - began) * REST
        if self._running:
            self._schedule(WATCHED_SECONDS if self._is_watched else UNWATCHED_SECONDS)
        return result

    def _schedule(self, seconds: float) -> None:
        wait = max(seconds, self._earliest - self._reactor.seconds())
        self._next = self._reactor.callLater(wait, self._take)

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
