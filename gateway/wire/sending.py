"""Bytes to a peer: past the transport where the socket takes them, through it where it does not.

`transport.write` wants two `epoll_ctl` for what it sends.  On a plain socket we send ourselves and hand over only
what did not fit; that is a third of a proxied request's whole cost (`docs/performance.md`).  And we send when
the reactor's turn is over, all connections together: a peer that is woken for each send by itself falls
asleep again in between, and waking it costs us more than the send.

Everything used here is public: `ISystemHandle.getHandle` gives the socket, and a *pull* producer's
`resumeProducing` is called whenever the transport's own buffer has run empty, so we know when it is our turn
again.  Over TLS the transport has to encrypt, so everything is handed to it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias

from twisted.internet.interfaces import IPullProducer, IPushProducer, ISSLTransport, ISystemHandle, ITransport
from zope.interface import implementer

from gateway.wire.limits import SEND_BUFFER_HIGH

Soon: TypeAlias = Callable[[Callable[[], None]], None]
"""Calls something when the reactor's turn is over."""


class Sender(Protocol):
    """The sending half of one connection."""

    @property
    def full(self) -> bool:
        """More bytes are waiting than a slow peer may cost us: pause whoever makes them."""

    @property
    def waiting(self) -> int:
        """Bytes that the socket would not take, as far as is known."""

    def write(self, data: bytes) -> None:
        """Send these bytes, after all earlier ones."""

    def flush(self) -> None:
        """Do not wait for the end of the turn."""

    def finish(self) -> None:
        """Nothing more will be written: let the transport close once it has sent the rest."""

    def lost(self) -> None:
        """The connection is lost, and nothing more is asked: let go of both sides, which hold this in turn."""


@implementer(IPullProducer)
class EagerSender:
    """Sends on a plain socket at the end of the turn; what does not fit goes to the transport."""

    __slots__ = ("_drained", "_registering", "_send", "_soon", "_transport", "_unsent", "waiting")

    def __init__(
        self, transport: ITransport, plain: socket.socket, drained: Callable[[], None], soon: Soon
    ) -> None:
        self._transport = transport
        self._send = plain.send
        self._drained = drained
        self._soon = soon
        self._unsent: list[bytes] = []
        """Written in this turn."""
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
        self._unsent.append(data)
        if len(self._unsent) == 1:
            self._soon(self.flush)

    def flush(self) -> None:
        if not self._unsent:
            return
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent.clear()
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
        self.flush()
        if self.waiting:
            self.waiting = 0
            self._transport.unregisterProducer()  # type: ignore[attr-defined]

    def lost(self) -> None:
        """The connection is lost."""
        self._unsent.clear()  # the turn is not over yet
        del self._drained, self._transport


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

    def flush(self) -> None:
        """The transport sends when it likes."""

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

    def lost(self) -> None:
        """The connection is lost.  Twisted's TLS does not forget its producer, which this is."""
        del self._drained, self._transport


def sender_for(transport: ITransport, drained: Callable[[], None], soon: Soon) -> Sender:
    """The sender that suits this connected transport.

    :param drained: called when a sender whose socket would not take everything has sent the rest.
    :param soon: `Sweep.soon`.
    """
    if ISSLTransport.providedBy(transport):
        return QueuedSender(transport, drained)
    if ISystemHandle.providedBy(transport):
        handle = transport.getHandle()
        if isinstance(handle, socket.socket):
            return EagerSender(transport, handle, drained, soon)
    return QueuedSender(transport, drained)
