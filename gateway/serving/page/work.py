"""What the page does beside the requests: in another thread, and at a cost that is bounded whatever there is to do."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gateway.serving.in_thread import InThread

REST = 50.0
"""Work that took a second of a core is followed by so many seconds without any: all of it takes a fiftieth of a core at
most."""

T = TypeVar("T")


class Work:
    """Does the work, and says when there may be more."""

    def __init__(
        self, reactor: IReactorTime, in_thread: InThread, cpu_seconds: Callable[[], float] = thread_time
    ) -> None:
        """Begin rested.

        :param cpu_seconds: how long the thread that asks has had a core.  Not how long the work took: on a busy
            machine it waits for the core, and whoever looks then must not wait fifty times as long.
        """
        self._reactor = reactor
        self._in_thread = in_thread
        self._cpu_seconds = cpu_seconds
        self.rested_at = 0.0
        """Clock time from which on there may be more."""

    def do(self, function: Callable[[], T]) -> Deferred[T]:
        """Tell what the function returns, which is called in another thread."""
        took = 0.0

        def timed() -> T:
            nonlocal took
            began = self._cpu_seconds()
            try:
                return function()
            finally:
                took = self._cpu_seconds() - began

        def rest(result: T) -> T:
            self.rested_at = max(self.rested_at, self._reactor.seconds()) + took * REST
            return result

        return self._in_thread(timed).addBoth(rest)
