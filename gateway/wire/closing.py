"""The end of a client's connection: the last bytes, then a while of patience, then an abort.

Closing a socket that has unread input resets the connection, and the client's kernel throws away what it had
not read yet: our answer.  So where the client may still be sending only our side is closed, and what comes is
swallowed for a while (RFC 9112 §9.6).  TLS cannot close half; there the transport waits for the client's
close_notify, which may never come.  Either way an abort is the last word.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import ISSLTransport, ITCPTransport, ITransport

from gateway.wire import peer
from gateway.wire.limits import LINGER_SECONDS, WRITE_STALL_SECONDS
from gateway.wire.sending import Sender
from gateway.wire.sweep import NEVER, Sweep


class Closing:
    """How one connection ends."""

    __slots__ = ("_backlog", "_deadline", "_half", "_sender", "_sweep", "_transport", "begun")

    def __init__(self, transport: ITransport, sender: Sender, sweep: Sweep) -> None:
        self.begun = False
        """Nothing new is sent any more."""
        # A test's transport has of this interface only what is called.
        self._transport = cast(ITCPTransport, transport)
        self._sender = sender
        self._sweep = sweep
        self._half = False
        self._deadline = NEVER
        self._backlog = 0
        """Bytes that the client had not taken when it was last looked at."""

    def begin(self, *, lingers: bool) -> None:
        """Close once the last bytes are with the transport.

        :param lingers: the client may still be sending.
        """
        self.begun = True
        transport = self._transport
        self._half = (
            lingers and ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport)
        )
        self._sender.flush()
        if not self._sender.waiting:
            self.drained()

    def drained(self) -> None:
        """The transport has the last bytes: close it."""
        self._sender.finish()
        self._deadline = self._sweep.seconds() + LINGER_SECONDS
        if self._half:
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def abort(self) -> None:
        """Close at once, whatever is on its way."""
        self.begun = True
        self._deadline = NEVER
        self._transport.abortConnection()

    def swept(self, now: float) -> None:
        """Abort when patience ends; a client that still takes the answer gets more of it."""
        if now < self._deadline:
            return
        backlog = peer.unacknowledged(self._transport)
        if backlog and backlog != self._backlog:
            self._backlog = backlog
            self._deadline = now + WRITE_STALL_SECONDS
        else:
            self.abort()
