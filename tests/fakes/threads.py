"""A thread that works when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred


class Thread:
    """Stands in for a thread to which work is given."""

    def __init__(self) -> None:
        self.given: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        """What it has not done yet."""

    def run(self, function: Callable[[], Any]) -> Deferred[Any]:
        """Take this to do."""
        done: Deferred[Any] = Deferred()
        self.given.append((function, done))
        return done

    def works(self) -> None:
        """Do what was given, which is one thing."""
        ((function, done),) = self.given
        self.given = []
        try:
            result = function()
        except Exception:
            done.errback()
        else:
            done.callback(result)
