"""Who is told of changes that an operator must know of: once for each change, and never for a request."""

from __future__ import annotations

from typing import Protocol

from gateway.snapshot.stable_names import BreakerName


class StandingListener(Protocol):
    """Hears how breakers and keys come to stand.  It is called between two steps of a request, so it must not raise."""

    def breaker_opened(self, name: BreakerName, until: float, fault: str) -> None:
        """Requests with this key are refused from now on.

        :param until: clock time in seconds at which the first one tries it again.
        :param fault: the last of the failures, in words; empty where nobody has said.
        """

    def breaker_closed(self, name: BreakerName) -> None:
        """The request that tried it again was answered."""

    def key_refused(self, name: BreakerName, status: int) -> None:
        """The provider does not know this key, or forbids it, with this status."""

    def key_accepted(self, name: BreakerName) -> None:
        """The provider takes a key again that it has refused."""

    def key_limited(self, name: BreakerName, until: float, status: int) -> None:
        """The key has met its limit, and is of no use before this clock time in seconds."""


class Unheard:
    """Nobody listens."""

    def breaker_opened(self, name: BreakerName, until: float, fault: str) -> None:
        pass

    def breaker_closed(self, name: BreakerName) -> None:
        pass

    def key_refused(self, name: BreakerName, status: int) -> None:
        pass

    def key_accepted(self, name: BreakerName) -> None:
        pass

    def key_limited(self, name: BreakerName, until: float, status: int) -> None:
        pass


UNHEARD = Unheard()
