"""Providers in memory: the far end of an `UpstreamConnection`."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.messages import Destination
from gateway.wire.sweep import Sweep
from gateway.wire.upstream import UpstreamConnection

PLAIN = Destination(owner="acme", provider="a", address="api.example.com", port=80, tls=None)


class RecordingHome:
    """A `ConnectionHome` that writes down what it is told."""

    def __init__(self) -> None:
        self.usable = 0
        """How often a connection could carry a request."""
        self.gone = 0
        self.reason: Failure | None = None

    def connection_usable(self, connection: UpstreamConnection) -> None:
        self.usable += 1

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None:
        self.gone += 1
        self.reason = reason


class Provider:
    """A provider with one connection, made at once."""

    def __init__(
        self, sweep: Sweep, destination: Destination = PLAIN, connection: UpstreamConnection | None = None
    ) -> None:
        self.home = RecordingHome()
        self.connection = connection or UpstreamConnection(destination, sweep, self.home)
        self.transport = StringTransport()
        self.connection.makeConnection(self.transport)

    def received(self) -> bytes:
        """What has come since this was asked last."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def answers(self, data: bytes) -> None:
        """Send these bytes, in one read."""
        self.connection.dataReceived(data)

    def takes_no_more(self) -> None:
        """Stop reading requests: our transport has more than it wants to keep."""
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()

    def takes_more(self) -> None:
        """Read all of the request."""
        assert self.transport.producer is not None
        self.transport.producer.resumeProducing()

    def closes(self) -> None:
        """Close, properly."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    def resets(self) -> None:
        """Close with an RST, or over TLS without a close_notify."""
        self.connection.connectionLost(Failure(ConnectionLost()))

    @property
    def end(self) -> str:
        """How our side has ended the connection: "aborted", "closed", or "" while it is open."""
        if self.transport.disconnected:
            return "aborted"
        return "closed" if self.transport.disconnecting else ""
