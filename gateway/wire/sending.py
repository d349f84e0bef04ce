"""Bytes to a peer: at once where the socket takes them, queued where it does not.

`transport.write` only queues: the bytes leave in the next turn of the reactor, after two `epoll_ctl`.  On a
plain socket we send them ourselves and hand over only what did not fit; that is a third of a proxied
request's whole cost (`docs/performance.md`).  Everything used here is public: `ISystemHandle.getHandle`
gives the socket, and a *pull* producer's `resumeProducing` is called whenever the transport's own buffer has
run empty, so we know when it is our turn again.  Over TLS the transport has to encrypt, so everything is
handed to it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer, ISSLTransport, ISystemHandle, ITransport
from zope.interface import implementer

from gateway.wire.limits import SEND_BUFFER_HIGH


class Sender(Protocol):
    """The sending half of one connection."""

    @property
    def full(self) -> bool:
        """More bytes are waiting than a slow peer may cost us: pause whoever makes them."""

    @property
    def waiting(self) -> int:
        """Bytes that the socket has not taken yet, as far as is known."""

    def write(self, data: bytes) -> None:
        """Send these bytes, after all earlier ones."""

    def finish(self) -> None:
        """Nothing more will be written: let the transport close once it has sent the rest."""


@implementer(IPullProducer)
class EagerSender:
    """Sends on a plain socket at once; what does not fit goes to the transport."""

    __slots__ = ("_drained", "_registering", "_send", "_transport", "waiting")

    def __init__(self, transport: ITransport, plain: socket.socket, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._send = plain.send
        self._drained = drained
        self._registering = False
        self.waiting = 0

    @property
    def full(self) -> bool:
        return self.waiting > SEND_BUFFER_HIGH

    def write(self, data: bytes) -> None:
        if self.waiting:
            self.waiting += len(data)
            self._transport.write(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # The peer is gone.  Twisted finds out by itself in the reactor's next turn, and says so in
            # `connectionLost` as for any other loss.
            sent = 0
        if sent != len(data):
            self.waiting = len(data) - sent
            self._transport.write(memoryview(data)[sent:].tobytes())
            # Registering a pull producer calls `resumeProducing` at once: that first call means nothing.
            self._registering = True
            self._transport.registerProducer(self, False)  # type: ignore[attr-defined]  # IConsumer, see sender_for
            self._registering = False

    def resumeProducing(self) -> None:
        """The transport has sent everything it was given."""
        if self._registering:
            return
        self.waiting = 0
        self._transport.unregisterProducer()  # type: ignore[attr-defined]
        self._drained()

    def stopProducing(self) -> None:
        """The connection is lost; its protocol hears of it in `connectionLost`."""

    def finish(self) -> None:
        """Nothing more will be written: let the transport close once it has sent the rest."""
        if self.waiting:
            self.waiting = 0
            self._transport.unregisterProducer()  # type: ignore[attr-defined]


@implementer(IPushProducer)
class QueuedSender:
    """Hands everything to the transport, which encrypts it, or which is a test's."""

    __slots__ = ("_drained", "_transport", "full", "waiting")

    def __init__(self, transport: ITransport, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._drained = drained
        self.full = False
        self.waiting = 0
        transport.registerProducer(self, True)  # type: ignore[attr-defined]

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def pauseProducing(self) -> None:
        self.full = True
        self.waiting = SEND_BUFFER_HIGH

    def resumeProducing(self) -> None:
        self.full = False
        self.waiting = 0
        self._drained()

    def stopProducing(self) -> None:
        """The connection is lost; its protocol hears of it in `connectionLost`."""

    def finish(self) -> None:
        """Nothing more will be written: let the transport close once it has sent the rest."""
        self._transport.unregisterProducer()  # type: ignore[attr-defined]


def sender_for(transport: ITransport, drained: Callable[[], None]) -> Sender:
    """The sender that suits this connected transport.

    :param drained: called when a sender that could not send at once has sent everything.
    """
    if ISSLTransport.providedBy(transport):
        return QueuedSender(transport, drained)
    if ISystemHandle.providedBy(transport):
        handle = transport.getHandle()
        if isinstance(handle, socket.socket):
            return EagerSender(transport, handle, drained)
    return QueuedSender(transport, drained)
