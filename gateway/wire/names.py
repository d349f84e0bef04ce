"""The addresses of providers' names.

Twisted asks `getaddrinfo` in a pool of ten threads, without a deadline.  One name whose server keeps silent
would soon hold them all and let every other provider's name wait, and two thousand streams that begin
together would ask two thousand times.  So whoever asks for a name that was asked for a moment ago shares that
look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from gateway.wire.limits import NAME_SECONDS


class NameLookUps:
    """Asks the reactor's resolver, once for all who want to know at about the same time."""

    def __init__(self, reactor: Any, seconds: Callable[[], float]) -> None:
        """Make it.

        :param reactor: an `IReactorPluggableNameResolver`.
        """
        self._reactor = reactor
        self._seconds = seconds
        self._look_ups: dict[str, _LookUp] = {}

    def addresses(self, name: str) -> Deferred[tuple[str, ...]]:
        """The addresses of this name in the resolver's order; none where it does not resolve.

        This may take for ever, and cannot be stopped.
        """
        now = self._seconds()
        look_up = self._look_ups.get(name)
        if look_up is None or look_up.is_over(now):
            look_up = self._look_ups[name] = _LookUp(now)
            self._reactor.nameResolver.resolveHostName(look_up, name)
        return look_up.answer()


@implementer(IResolutionReceiver)
class _LookUp:
    """One question to the resolver."""

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self._addresses: list[str] = []
        self._complete = False
        self._askers: list[Deferred[tuple[str, ...]]] = []

    def is_over(self, now: float) -> bool:
        """It has nothing more to give.  One that is still under way has: each question takes one of few threads."""
        return self._complete and (not self._addresses or self.asked_at + NAME_SECONDS <= now)

    def answer(self) -> Deferred[tuple[str, ...]]:
        """The addresses, now or when they are known."""
        if self._complete:
            return succeed(tuple(self._addresses))
        asker: Deferred[tuple[str, ...]] = Deferred()
        self._askers.append(asker)
        return asker

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        """Nothing to keep: Twisted's resolver cannot be stopped."""

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address):
            self._addresses.append(address.host)

    def resolutionComplete(self) -> None:
        self._complete = True
        askers, self._askers = self._askers, []
        for asker in askers:
            asker.callback(tuple(self._addresses))
