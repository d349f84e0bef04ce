"""The ways to a provider: TCP, TLS over TCP, and a socket pair to the simulator in this process.

Each ends in an `UpstreamConnection` that can carry a request, or in a `GatewayError` of progress `not_sent`.
Look-up and connect share one deadline, the handshake has its own.  A name's addresses are tried one after the
other; the next one at once when one fails, or beside it when it keeps silent (RFC 8305).  Twisted's
`HostnameEndpoint` is not used: it reports a refused connection only after its delay, and leaves a wrapper
around the protocol that forwards every read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from twisted.internet import error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
)
from twisted.internet.protocol import ClientFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from gateway.errors import GatewayError
from gateway.messages import Destination, HiddenText, Timeouts, TlsSettings
from gateway.wire.certificates import CertificateRefused
from gateway.wire.counts import HandshakeResult, no_handshakes
from gateway.wire.limits import NEXT_ADDRESS_SECONDS
from gateway.wire.names import NameLookUps
from gateway.wire.sweep import NEVER, Sweep
from gateway.wire.tls import handshake_failure_sentence
from gateway.wire.upstream import UpstreamConnection

InProcess: TypeAlias = Callable[[Destination, IProtocolFactory], None]
"""Connects a protocol of this factory to a part of this process, at once or soon."""


class CertificateListener(Protocol):
    """Hears what is found of providers' certificates, at each new connection with TLS."""

    def certificate_refused(self, destination: Destination, why: str) -> None:
        """It is not believed."""

    def certificate_accepted(self, destination: Destination) -> None:
        """It is, or nothing is asked of it."""


class Connector:
    """Makes connections: `connector(destination, timeouts)`."""

    def __init__(
        self,
        reactor: Any,
        sweep: Sweep,
        creator_for: Callable[[TlsSettings], IOpenSSLClientConnectionCreator],
        in_process: InProcess | None = None,
        certificates: CertificateListener | None = None,
    ) -> None:
        """Make a connector.

        :param reactor: an `IReactorTCP`, `IReactorTime` and `IReactorPluggableNameResolver`.
        :param creator_for: may raise `ValueError` with a sentence for the operator.
        :param in_process: the way to destinations that are `in_process`.
        :param certificates: None where nobody wants to hear of them.
        """
        self.reactor = reactor
        self.sweep = sweep
        self.creator_for = creator_for
        self.in_process = in_process
        self.certificates = certificates
        self.names = NameLookUps(reactor, sweep.seconds)
        self.handshakes = no_handshakes()

    def __call__(self, destination: Destination, timeouts: Timeouts) -> Deferred[UpstreamConnection]:
        """Connect.  Cancelling the Deferred aborts whatever has been begun.

        :return: a connection that can carry a request; or it fails with a GatewayError.
        """
        return _Connecting(self, destination, timeouts).begin()


class _Connecting(ClientFactory):
    """One way to one provider; the home of its connection until that can carry a request."""

    noisy = False

    def __init__(self, connector: Connector, destination: Destination, timeouts: Timeouts) -> None:
        self._connector = connector
        self._seconds = connector.sweep.seconds
        self._destination = destination
        self._timeouts = timeouts
        self._result: Deferred[UpstreamConnection] = Deferred(lambda _: self._end())
        self._ended = False
        self._deadline = self._seconds() + timeouts.connect
        self._tls: TLSMemoryBIOFactory | None = None
        """What puts TLS around our connection, where the destination wants it."""
        self._untried: list[str] = []
        """Addresses."""
        self._next_at = NEVER
        """When the next of them is tried beside those that keep silent."""
        self._trying: dict[IConnector, str] = {}
        """What Twisted has for each attempt, and its address."""
        self._failures: list[str] = []
        self._connection: UpstreamConnection | None = None
        """Open, and in a TLS handshake."""

    def begin(self) -> Deferred[UpstreamConnection]:
        """Set out."""
        self._connector.sweep.watch(self)
        destination = self._destination
        if destination.in_process:
            self._connect_in_process()
            return self._result
        if destination.tls is not None:
            try:
                creator = self._connector.creator_for(destination.tls)
            except ValueError as refusal:
                message = "The TLS settings for the provider cannot be used."
                self._fail("provider_tls_failed", message, str(refusal))
                return self._result
            self._tls = TLSMemoryBIOFactory(creator, True, self, self._connector.reactor)
        if isIPAddress(destination.address) or isIPv6Address(destination.address):
            self._looked_up((destination.address,))
        else:
            self._connector.names.addresses(destination.address).addCallback(self._looked_up)
        return self._result

    def _connect_in_process(self) -> None:
        if self._connector.in_process is None:
            self._fail("provider_connect_failed", "There is no simulator in this process.", "")
            return
        try:
            self._connector.in_process(self._destination, self)
        except OSError as failure:
            self._fail("provider_connect_failed", "The simulator could not be reached.", str(failure))

    def _looked_up(self, addresses: tuple[str, ...]) -> None:
        if self._ended:
            return
        if addresses:
            self._untried.extend(addresses)
            self._try_next()
        else:
            message = "The provider's name does not resolve."
            self._fail("provider_name_lookup_failed", message, f"No address for {self._destination}.")

    def _try_next(self) -> None:
        """Try one more address."""
        now = self._seconds()
        self._next_at = now + NEXT_ADDRESS_SECONDS
        address = self._untried.pop(0)
        connector = self._connector.reactor.connectTCP(
            address, self._destination.port, self._tls or self, timeout=max(self._deadline - now, 0)
        )
        self._trying[connector] = address

    def swept(self, now: float) -> None:
        """Look at the deadlines."""
        if now < self._deadline:
            if self._untried and now >= self._next_at:
                self._try_next()
        elif self._connection is not None:
            self._connector.handshakes[HandshakeResult.TIMEOUT] += 1
            message = (
                f"The provider did not complete the TLS handshake within {self._timeouts.handshake:g} s."
            )
            self._fail("provider_tls_timeout", message, str(self._destination))
        else:
            self._time_out()

    # What Twisted says, as to any client factory.

    def buildProtocol(self, addr: IAddress | None) -> UpstreamConnection:  # type: ignore[override]  # no `factory`
        """One of the addresses has answered: it is this one, and no other."""
        self._stop_trying()
        self._deadline = self._seconds() + self._timeouts.handshake
        self._connection = UpstreamConnection(self._destination, self._connector.sweep, self)
        return self._connection

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        if connector not in self._trying:
            return  # we stopped it
        self._failures.append(f"{self._trying.pop(connector)}: {reason.value}")
        if isinstance(reason.value, error.TimeoutError):
            self._time_out()
        elif self._untried:
            self._try_next()
        elif not self._trying:
            message = "The provider refused the connection or is unreachable."
            self._fail("provider_connect_failed", message, self._tried())

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        # It and its transport hold one another.  Twisted forgets this one when a connection fails, not when it ends.
        connector.transport = None  # type: ignore[attr-defined]  # of Twisted's BaseConnector

    # What the connection says, as to any home.

    def connection_usable(self, connection: UpstreamConnection) -> None:
        if self._destination.tls is not None:
            protocol = connection.transport.negotiatedProtocol
            # RFC 7301 §3.2: a provider that knows nothing of ALPN chooses nothing, and speaks HTTP/1.1.
            if protocol not in (None, b"", b"http/1.1"):
                self._connector.handshakes[HandshakeResult.FAILED] += 1
                message = "The provider does not speak HTTP/1.1."
                self._fail("provider_tls_failed", message, f"It chose {protocol!r} by ALPN.")
                return
            self._connector.handshakes[HandshakeResult.OK] += 1
            if self._connector.certificates is not None:
                self._connector.certificates.certificate_accepted(self._destination)
        self._connection = None
        self._end()
        self._result.callback(connection)

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None:
        if self._ended or reason is None:
            return
        is_refused = isinstance(reason.value, CertificateRefused)
        self._connector.handshakes[HandshakeResult.REFUSED if is_refused else HandshakeResult.FAILED] += 1
        names = self._destination.tls.names if self._destination.tls is not None else ()
        message, detail = handshake_failure_sentence(reason, names)
        if is_refused and self._connector.certificates is not None:
            self._connector.certificates.certificate_refused(self._destination, f"{message} {detail}")
        self._fail("provider_tls_failed", message, detail)

    # How it ends.

    def _time_out(self) -> None:
        message = f"The provider could not be reached within {self._timeouts.connect:g} s."
        self._fail("provider_connect_timeout", message, self._tried())

    def _tried(self) -> str:
        """How far it got, for an operator."""
        if isinstance(self._destination.address, HiddenText):
            return str(self._destination)
        silent = [f"{address}: no answer" for address in self._trying.values()]
        tried = ", ".join(self._failures + silent)
        return f"{self._destination}: {tried or 'the name was still being looked up'}"

    def _fail(self, code: str, message: str, detail: str) -> None:
        self._end()
        self._result.errback(GatewayError(code, message, detail=detail))

    def _end(self) -> None:
        """Leave nothing behind, and nothing that holds this."""
        self._ended = True
        self._connector.sweep.forget(self)
        self._stop_trying()
        self._tls = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _stop_trying(self) -> None:
        self._untried.clear()
        trying, self._trying = self._trying, {}
        for connector in trying:
            with suppress(error.NotConnectingError):  # the one that is just being connected
                connector.stopConnecting()
