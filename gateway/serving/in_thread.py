"""How work is given to another thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


class InThread(Protocol):
    """Calls a function in another thread: `partial(deferToThreadPool, reactor, pool)`."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Tell what it returns."""
