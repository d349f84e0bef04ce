"""The connections of one listener: made, counted, and ended together."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from gateway.errors import GatewayError
from gateway.wire.counts import ListenerCounts
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.exchanging import ExchangeStarter
from gateway.wire.limits import DownstreamLimits
from gateway.wire.responses import DateLine
from gateway.wire.sweep import Sweep


@implementer(IProtocolNegotiationFactory)
class DownstreamFactory(Factory):
    """Makes the connections of one listener, and ends them together."""

    noisy = False

    def __init__(
        self,
        starter: ExchangeStarter,
        sweep: Sweep,
        limits: Callable[[], DownstreamLimits],
        listener: str = "",
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Make the factory.

        :param limits: asked for every head, so that a reload counts from the next request.
        :param wall_clock: for the `Date` header.
        """
        self.starter = starter
        self.sweep = sweep
        self.limits = limits
        self.listener = listener
        self.date = DateLine(wall_clock)
        self.connections: set[DownstreamConnection] = set()
        """All that are open."""
        self.winding_down = False
        """Every answer is its connection's last."""
        self.draining = False
        """And no connection waits long for its next request."""
        self._opened = 0
        self._admitted: set[DownstreamConnection] = set()
        self._drained: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> DownstreamConnection:
        return DownstreamConnection(self)

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS listeners agree to over ALPN.

        Were it nothing, Twisted would end the handshake of every client that asks, curl's included.
        """
        return [b"http/1.1"]

    def admit(self, connection: DownstreamConnection) -> bool:
        """Count a connection that was made; False when it is one too many."""
        self.connections.add(connection)
        self._opened += 1
        most = self.limits().connections
        if most is not None and len(self._admitted) >= most:
            return False
        self._admitted.add(connection)
        return True

    def leave(self, connection: DownstreamConnection) -> None:
        """Count it no longer."""
        self.connections.discard(connection)
        self._admitted.discard(connection)
        self._tell_if_drained()

    def counts(self) -> ListenerCounts:
        """How many there are and were; may be asked in any thread."""
        connections = self.connections.copy()
        active = sum(connection.active for connection in connections)
        return ListenerCounts(self.listener, self._opened, active, len(connections) - active)

    def wind_down(self) -> None:
        """Tell clients with every answer that it is their connection's last (RFC 9112 §9.6)."""
        self.winding_down = True

    def drain(self) -> Deferred[None]:
        """Close idle connections, and the others behind their answers; fires when none is left.

        One that was used a moment ago is taken for busy: its client may have sent the next request already.
        """
        self.wind_down()
        self.draining = True
        waiting: Deferred[None] = Deferred()
        self._drained.append(waiting)
        for connection in tuple(self.connections):
            connection.hurry()
        self._tell_if_drained()
        return waiting

    def cut_all(self, error: GatewayError) -> None:
        """End what is still answered with this error; a client that takes no notice is aborted soon after."""
        for connection in tuple(self.connections):
            connection.cut(error)

    def abort_all(self) -> None:
        """End every connection at once."""
        for connection in tuple(self.connections):
            connection.abort()

    def _tell_if_drained(self) -> None:
        if self.draining and not self.connections:
            waiting, self._drained = self._drained, []
            for each in waiting:
                each.callback(None)
