"""A provider's connection: one request at a time, and the answer to it.

A connection belongs to a home, which it tells when it can carry a request and when it never will again.  Whoever
gets it from there sends one request with a receiver, which hears of the answer once for each read, until it is
whole or has failed.  With that last call the connection is no longer the receiver's.

Nothing looks at the socket before an idle connection is used again.  The reactor reports a provider's FIN in
its next turn; a `recv` with MSG_PEEK would cost every request a system call to narrow that gap, and could not
close it.  A request that falls into it fails with `provider_reset` on a `reused` connection, and can be sent
once more on a fresh one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IProtocol, ITCPTransport, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.errors import GatewayError
from gateway.messages import Destination, ResponseHead, Timeouts
from gateway.wire import answer_failures
from gateway.wire.answer_parsing import AnswerParser
from gateway.wire.holding import AnswerReceiver, ConnectionHome
from gateway.wire.judging import forget_failure
from gateway.wire.limits import LINGER_SECONDS
from gateway.wire.sending import Sender, sender_for
from gateway.wire.sweep import NEVER, Sweep


@implementer(IProtocol, IHandshakeListener)
class UpstreamConnection:
    """The protocol of one connection to a provider."""

    _log = Logger()

    __slots__ = (
        "_awaits_head",
        "_body_follows",
        "_deadline",
        "_full",
        "_lost",
        "_parser",
        "_paused",
        "_receiver",
        "_seconds",
        "_sender",
        "_sweep",
        "_timeouts",
        "destination",
        "home",
        "open",
        "read_at",
        "reused",
        "transport",
    )

    def __init__(self, destination: Destination, sweep: Sweep, home: ConnectionHome) -> None:
        self.destination = destination
        self.home = home
        self.reused = False
        """It has carried an answer before."""
        self.open = True
        """It may still carry a request; False once its closing is decided or has happened."""
        self.read_at = 0.0
        """Clock time of the read at hand, in seconds."""
        self._sweep = sweep
        self._seconds = sweep.seconds
        self._parser = AnswerParser()
        # A refused certificate arrives as connectionLost before any request: all fields exist from the start.
        self._receiver: AnswerReceiver | None = None
        """None between requests."""
        self._timeouts = Timeouts()
        self._deadline = NEVER
        """When the provider has been silent for too long, or after `close` has not closed."""
        self._awaits_head = False
        """A request was sent, and the receiver has not been told the head of its answer."""
        self._body_follows = False
        """More of the request's body is to come."""
        self._full = False
        """The receiver was told to stop sending."""
        self._paused = False
        """The receiver wants no more of the answer for now: the transport is not read."""
        self._lost = False
        """The transport is gone, and not only `open` no more."""

    # What a receiver, or a pool, asks for.

    def send(
        self,
        request: bytes,
        receiver: AnswerReceiver,
        *,
        timeouts: Timeouts,
        expects_no_body: bool = False,
        more: bool = False,
    ) -> None:
        """Send a request: its head, and as much of its body as there is.

        A connection that was lost since it was handed out fails at once, before this returns.

        :param timeouts: `headers` and `idle` of these are kept here.
        :param expects_no_body: it is a HEAD: an answer to it has no body.
        :param more: `send_body` and `end_body` follow; whoever calls them frames the bytes.
        """
        if not self.open:
            receiver.answer_failed(answer_failures.never_sent())
            return
        self._receiver = receiver
        self._timeouts = timeouts
        self._awaits_head = True
        self._body_follows = more
        self._parser.expect(no_body=expects_no_body)
        self._write(request)

    def send_body(self, data: bytes) -> None:
        """Send some more of the request's body."""
        if self._receiver is not None:
            self._write(data)

    def end_body(self) -> None:
        """The request's body is whole."""
        self._body_follows = False
        self._watch_answer()

    def pause(self) -> None:
        """Stop reading the answer.

        Until `resume` no deadline runs, and nobody notices that the provider leaves.
        """
        if self._receiver is not None and not self._paused:
            self._paused = True
            self._deadline = NEVER
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Go on reading the answer."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
            self._watch_answer()

    def abort(self) -> None:
        """End it at once, whatever it is doing.  The receiver hears nothing more."""
        self._receiver = None
        self._leave(None)
        self._deadline = NEVER
        if not self._lost:
            self.transport.abortConnection()

    def close(self) -> None:
        """End it politely; it carries no request."""
        if not self.open:
            return
        self._leave(None)
        # Over TLS this waits for the provider's close_notify, which may never come.
        self._deadline = self._seconds() + LINGER_SECONDS
        self._sender.finish()
        self.transport.loseConnection()

    @property
    def request_sent(self) -> bool:
        """The socket has taken all of the request, as far as is known."""
        return not self._body_follows and not self._sender.waiting

    # What the sweep and the sender say.

    def swept(self, now: float) -> None:
        """Look at the deadline."""
        if now < self._deadline:
            return
        receiver, timeouts = self._receiver, self._timeouts
        self.abort()
        if receiver is None:
            return  # it lingered after `close`
        if self._awaits_head:
            self._tell_failed(receiver, answer_failures.late_head(timeouts, begun=self._parser.begun))
        else:
            self._tell_failed(receiver, answer_failures.stalled(timeouts))

    def _drained(self) -> None:
        """Everything written has been taken."""
        receiver = self._receiver
        if receiver is None:
            return
        self._watch_answer()
        if self._full:
            self._full = False
            try:
                receiver.upstream_drained()
            except Exception:
                self._receiver_raised(receiver)

    # What Twisted says.

    def makeConnection(self, transport: ITransport) -> None:
        self.transport: Any = transport  # IPushProducer as well, and over TLS INegotiated
        self._sender: Sender = sender_for(transport, self._drained, self._sweep.soon)
        self._sweep.watch(self)
        self.connectionMade()

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        if self.destination.tls is None:
            self.home.connection_usable(self)

    def handshakeCompleted(self) -> None:
        self.home.connection_usable(self)

    def dataReceived(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            if self.open:
                self.abort()  # nobody asked for these bytes: whatever they answer, it is no request of ours
            return
        self.read_at = self._seconds()
        try:
            self._tell(receiver, data)
        except Exception:
            self._receiver_raised(receiver)

    def connectionLost(self, reason: Failure) -> None:
        self._lost = True
        self._deadline = NEVER
        self._sweep.forget(self)
        self._sender.lost()
        self._parser.close()
        forget_failure(self.transport, reason)
        receiver, self._receiver = self._receiver, None
        self._leave(reason)
        if receiver is None:
            return
        self.read_at = self._seconds()
        if self._parser.ends_with_close(cleanly=isinstance(reason.value, ConnectionDone)):
            try:
                receiver.answer_read(None, b"", True)
            except Exception:
                self._receiver_raised(receiver)
        else:
            tls, begun = self.destination.tls, self._parser.begun
            self._tell_failed(receiver, answer_failures.lost(reason, tls, begun=begun))

    # How it works inside.

    def _tell(self, receiver: AnswerReceiver, data: bytes) -> None:
        """Tell the receiver what these bytes of its answer mean."""
        parser = self._parser
        body = parser.feed(data)
        head = None
        if self._awaits_head:
            head = parser.head
            self._awaits_head = head is None
        if parser.ended:
            self._end(receiver, head, body)
            return
        if not self._awaits_head:
            if not self._paused:
                idle = self._timeouts.idle
                self._deadline = NEVER if idle is None else self.read_at + idle
            receiver.answer_read(head, body, False)
        if parser.fault is not None and self._receiver is not None:
            self.abort()
            receiver.answer_failed(answer_failures.malformed(parser.fault))

    def _receiver_raised(self, receiver: AnswerReceiver) -> None:
        """What the floor above raised goes no further; its exchange is over."""
        self._log.failure("an exchange failed at its answer")
        self.abort()
        try:
            receiver.break_down()
        except Exception:
            self._log.failure("an exchange failed at breaking down")

    def _tell_failed(self, receiver: AnswerReceiver, error: GatewayError) -> None:
        """The answer has failed, and the connection with it."""
        try:
            receiver.answer_failed(error)
        except Exception:
            self._receiver_raised(receiver)

    def _write(self, data: bytes) -> None:
        sender = self._sender
        sender.write(data)
        self._watch_answer()
        if sender.waiting and not self._full and sender.full and self._receiver is not None:
            self._full = True
            self._receiver.upstream_full()

    def _watch_answer(self) -> None:
        """Let the deadline begin anew that fits how far the exchange is.

        `headers` runs once the request is sent, and while the provider takes nothing of it: a provider that
        does not read is as silent as one that does not answer.  It does not run while the rest of the body is
        ours to send.
        """
        if self._receiver is None or self._paused:
            return
        if not self._awaits_head:
            seconds = self._timeouts.idle
        elif self._body_follows and not self._sender.waiting:
            seconds = None
        else:
            seconds = self._timeouts.headers
        self._deadline = NEVER if seconds is None else self._seconds() + seconds

    def _end(self, receiver: AnswerReceiver, head: ResponseHead | None, body: bytes) -> None:
        """The answer is whole: say so, and be free for the next request if that is safe."""
        parser = self._parser
        request_sent = not self._body_follows and not self._sender.waiting
        self._receiver = None
        self._deadline = NEVER
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        receiver.answer_read(head, body, True)
        if not self.open:
            return
        if not request_sent or parser.surplus:
            self.abort()
        elif parser.keep_alive:
            self.reused = True
            self.home.connection_usable(self)
        else:
            self.close()

    def _leave(self, reason: Failure | None) -> None:
        if self.open:
            self.open = False
            self.home.connection_gone(self, reason)
