"""Listening sockets: bound all or none, and closed so that nobody who has connected is lost.

A socket is our own, or inherited from systemd or another parent, which keeps it.  Of an inherited one only our
descriptor is closed: what the kernel has queued there is for whoever takes over.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReadDescriptor,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure

from gateway.wire.counts import Handshakes
from gateway.wire.limits import QUEUED_CONNECTIONS
from gateway.wire.tls_endpoint import TlsServerEndpoint
from gateway.wire.tls_files import TlsFilesReader


@frozen
class Listener:
    """One `--listen` or the `--admin`."""

    name: str
    """What `gateways` in an LLMRoute may name; empty without a name."""
    description: str
    """The endpoint string as written."""
    endpoint: IStreamServerEndpoint

    @property
    def is_inherited(self) -> bool:
        """Others have the socket, too: systemd, a parent, the gateway that takes over."""
        return isinstance(self.endpoint, AdoptedStreamServerEndpoint)

    @property
    def handshakes(self) -> Handshakes:
        """How its TLS handshakes have ended; nothing where it speaks no TLS."""
        return self.endpoint.handshakes.results if isinstance(self.endpoint, TlsServerEndpoint) else {}

    @property
    def tls_files(self) -> TlsFilesReader | None:
        """Where its certificate comes from; None where it speaks no TLS."""
        return self.endpoint.handshakes.files if isinstance(self.endpoint, TlsServerEndpoint) else None

    @property
    def proves_clients(self) -> bool:
        """Nobody is served there who has not shown a good certificate."""
        return isinstance(self.endpoint, TlsServerEndpoint) and self.endpoint.proves_clients


class Ports:
    """The ports of this process."""

    def __init__(self, reactor: Any) -> None:
        """None is bound yet.

        :param reactor: Twisted's, with time and `iterate`.
        """
        self._reactor = reactor
        self._open: dict[Listener, IListeningPort] = {}

    def bind(self, listener: Listener, factory: IProtocolFactory) -> None:
        """Listen there; before the reactor runs.

        :raises Exception: what the endpoint fails with; then those that were bound are closed again.
        """
        failures: list[Failure] = []
        bound: list[IListeningPort] = []
        # Every stream endpoint of Twisted binds at once.
        listener.endpoint.listen(factory).addCallbacks(bound.append, failures.append)
        if failures:
            self.close(tuple(self._open))
            self._reactor.iterate()  # a port closes in the reactor's next turn, and there will be none
            failures[0].raiseException()
        self._open[listener] = bound[0]

    def address(self, listener: Listener) -> IAddress:
        """Where it listens."""
        return self._open[listener].getHost()

    def close(self, listeners: Iterable[Listener]) -> Deferred[Any]:
        """Take no more connections there, as far as these are open; fires when they are closed.

        Closing a socket of our own resets the connections that the kernel has made and nobody has accepted.  So
        they are taken first; what comes in the microseconds between is lost.
        """
        closing = []
        for listener in listeners:
            port = self._open.pop(listener, None)
            if port is None:
                continue
            if not listener.is_inherited and IReadDescriptor.providedBy(port):
                # Twisted closes in the reactor's next turn, too, and just behind this.
                self._reactor.callLater(0, _accept_queued, port)
            closing.append(maybeDeferred(port.stopListening))
        return DeferredList(closing)


def _accept_queued(port: IReadDescriptor) -> None:
    poll = select.poll()
    poll.register(port.fileno(), select.POLLIN)
    for _ in range(QUEUED_CONNECTIONS):
        if not poll.poll(0):
            return
        port.doRead()
