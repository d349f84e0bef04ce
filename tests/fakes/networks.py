"""A network in memory: names, and connections that succeed, fail or hang as a test says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import UserError
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver, ITCPTransport
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer


class TcpTransport(StringTransport):
    """Our end of a TCP connection."""

    no_delay = False

    def __init__(self) -> None:
        super().__init__()
        alsoProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class Approach:
    """One connection that was begun; it is its own connector."""

    def __init__(self, host: str, port: int, factory: ClientFactory, timeout: float) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.timeout = timeout
        self.stopped = False

    def stopConnecting(self) -> None:  # noqa: N802
        """As Twisted's connectors do: the factory hears of it before this returns."""
        self.stopped = True
        self.fails(UserError())

    def fails(self, reason: Exception | None = None) -> None:
        """The connection is refused, or fails with this."""
        self.factory.clientConnectionFailed(self, Failure(reason or Refused()))  # type: ignore[arg-type]

    def builds(self) -> Protocol:
        """The connection is there: our side's protocol, without a transport yet."""
        protocol = self.factory.buildProtocol(IPv4Address("TCP", self.host, self.port))
        assert protocol is not None
        return protocol  # type: ignore[return-value]

    def succeeds(self) -> TcpTransport:
        """The connection is there: the transport of our side."""
        transport = TcpTransport()
        self.builds().makeConnection(transport)
        return transport


@implementer(IHostnameResolver)
class Resolver:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, IResolutionReceiver]] = []

    def resolveHostName(self, receiver: IResolutionReceiver, name: str, *_: Any) -> IHostResolution:  # noqa: N802
        self.questions.append((name, receiver))
        return None  # type: ignore[return-value]

    def answers(self, *addresses: str) -> None:
        """Answer the last question."""
        _, receiver = self.questions[-1]
        for address in addresses:
            family = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(family("TCP", address, 0))
        receiver.resolutionComplete()


class Network(MemoryReactorClock):
    """A reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.resolver = Resolver()
        self.approaches: list[Approach] = []
        self.installNameResolver(self.resolver)

    def connectTCP(self, host: str, port: int, factory: ClientFactory, timeout: float) -> Approach:  # type: ignore[override]  # noqa: N802
        self.approaches.append(Approach(host, port, factory, timeout))
        return self.approaches[-1]

    @property
    def hosts(self) -> Sequence[str]:
        """To where connections were begun."""
        return [approach.host for approach in self.approaches]
