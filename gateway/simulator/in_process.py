"""Reaching the simulator of this very process: a pair of sockets that the kernel joins, and no port.

Both ends are ordinary connections to the reactor, so everything a real provider's connection goes through,
this one goes through as well.
"""

from __future__ import annotations

import socket

from twisted.internet.interfaces import IProtocolFactory, IReactorSocket

from gateway.messages import Destination
from gateway.wire.connecting import InProcess


def in_process_connector(reactor: IReactorSocket, simulator: IProtocolFactory) -> InProcess:
    """The way to the simulator: joins a protocol of the factory that it is given to one of `simulator`.

    It connects at once, and raises `OSError` where no file descriptor is left.
    """

    def connect(destination: Destination, upstream: IProtocolFactory) -> None:
        ours, theirs = socket.socketpair()
        # The reactor works on descriptors of its own: `adoptStreamConnection` duplicates what it is given.
        with ours, theirs:
            for end, factory in ((theirs, simulator), (ours, upstream)):
                end.setblocking(False)
                # Twisted's annotation names a class; of its methods only `buildProtocol` is called.
                reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)  # type: ignore[arg-type]

    return connect
