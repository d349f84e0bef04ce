"""A client in memory, for conversations with a `DownstreamConnection`."""

from __future__ import annotations

import socket

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, IFileDescriptor, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from gateway.wire.downstream import DownstreamConnection
from gateway.wire.exchanging import ExchangeStarter
from gateway.wire.limits import SWEEP_SECONDS, DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.sweep import Sweep


class ClientTransport(StringTransport):
    """What the gateway writes to; it notes how the connection was ended.

    Of `ITCPTransport` it has what the wire calls.
    """

    no_delay = False
    half_closed = False
    aborted = False

    def __init__(self, peer: IAddress | None = None) -> None:
        super().__init__(peerAddress=peer)
        directlyProvides(self, providedBy(self), ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def loseWriteConnection(self) -> None:
        assert self.producer is None, "a producer keeps a transport from closing"
        self.half_closed = True

    def loseConnection(self) -> None:
        assert self.producer is None or self.aborted, "a producer keeps a transport from closing"
        super().loseConnection()

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class SocketTransport(ClientTransport):
    """One with a socket under it, for what the kernel knows."""

    def __init__(self, under: socket.socket) -> None:
        super().__init__()
        self._under = under
        directlyProvides(self, providedBy(self), IFileDescriptor)

    def fileno(self) -> int:
        return self._under.fileno()


class Client:
    """Sends bytes to a connection and reads what comes back, on a clock of its own."""

    def __init__(
        self,
        starter: ExchangeStarter,
        limits: DownstreamLimits | None = None,
        *,
        factory: DownstreamFactory | None = None,
        transport: ClientTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Connect.

        :param factory: where further clients of one gateway meet; else a new one with these limits.
        """
        self.limits = limits or DownstreamLimits()
        self.clock = clock or Clock()
        if factory is None:
            sweep = Sweep(self.clock, self.clock.seconds)
            sweep.start()
            factory = DownstreamFactory(starter, sweep, lambda: self.limits, wall_clock=lambda: 784111777.0)
        self.factory = factory
        self.transport = transport or ClientTransport()
        self.connection: DownstreamConnection = factory.buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def sends(self, *parts: bytes) -> bytes:
        """Send each part as a read of its own; return everything that came back."""
        for part in parts:
            self.connection.dataReceived(part)
        self.clock.advance(0)
        return self.received()

    def received(self) -> bytes:
        """What came since it was last asked."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def waits(self, seconds: float) -> bytes:
        """Let time pass, sweep by sweep; return what came."""
        self.clock.pump([SWEEP_SECONDS] * round(seconds / SWEEP_SECONDS))
        return self.received()

    def takes_nothing(self) -> None:
        """Let what is sent to it pile up, as its transport reports it."""
        assert self.transport.producer is not None
        self.transport.producer.pauseProducing()

    def takes_again(self) -> None:
        """Take everything that has piled up."""
        assert self.transport.producer is not None
        self.transport.producer.resumeProducing()

    def leaves(self) -> None:
        """Close, as the reactor reports it."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    def is_cut_off(self) -> bool:
        """The gateway aborted; let the reactor report that."""
        if self.transport.aborted:
            self.connection.connectionLost(Failure(ConnectionAborted()))
        return self.transport.aborted

    @property
    def is_closed(self) -> bool:
        """The gateway has ended its side."""
        return self.transport.disconnecting or self.transport.half_closed

    @property
    def is_read(self) -> bool:
        """The gateway is reading what the client sends."""
        return bool(self.transport.producerState == "producing")
