"""A client's connection: requests in, answers out, one exchange at a time.

Two halves move on their own.  The *request* half is `RequestReceiver`: it reads a head, then its body, then holds
whatever is sent ahead of its turn.  The *answer* half, here, belongs to one exchange until the answer's end; only
then is the next head looked at.  Either half may finish first: an answer may come before the request's body is
whole, and the rest of that is then swallowed.

A client that closes its sending side counts as gone while an exchange runs: RFC 9112 §9.6 would allow it to
wait for the answer, but nobody can tell it from one that left, and an answer nobody reads costs tokens.

What the floor above raises is caught here: it reaches neither llhttp nor any other connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.errors import GatewayError
from gateway.messages import Headers, RequestHead
from gateway.wire import responses
from gateway.wire.addresses import shown
from gateway.wire.answering import AnswerWriter
from gateway.wire.client_names import certificate_names
from gateway.wire.closing import Closing
from gateway.wire.exchanging import Exchange
from gateway.wire.judging import forget_failure
from gateway.wire.limits import WRITE_STALL_SECONDS
from gateway.wire.peer import Backlog, has_left
from gateway.wire.request_receiving import Reading, RequestReceiver
from gateway.wire.request_refusals import Seen, seen_in
from gateway.wire.sending import sender_for

if TYPE_CHECKING:
    from gateway.wire.listening import DownstreamFactory

# By themselves: looking a member up in its Enum costs as much as a call.
_HEAD, _BODY, _HELD = Reading.HEAD, Reading.BODY, Reading.HELD


class DownstreamConnection(RequestReceiver):
    """One client.  Also the handle on which the exchange at hand answers.

    What is asked of it after that answer's end, or after the client left, does nothing.
    """

    _log = Logger()

    def __init__(self, factory: DownstreamFactory) -> None:
        super().__init__(factory)
        self.listener = factory.listener
        """The name given with --listen, or empty."""
        self.peer = "unix"
        """`127.0.0.1:5555`, `[::1]:5555`, or `unix`."""
        self.address = ""
        """The IP address alone; empty for `unix`."""
        self.remembered: object = None
        """What whoever serves wants to know again at this client's next request."""
        self.begun = False
        """The head of the answer at hand has been written."""
        self._starter = factory.starter
        self._awaited = False
        """A request, or a refusal, has no whole answer yet."""
        self._told_full = False
        """The exchange knows that the client takes no more."""

    # what Twisted calls

    def connectionMade(self) -> None:
        transport = self.transport
        assert transport is not None
        address = transport.getPeer()
        if isinstance(address, IPv4Address | IPv6Address):
            self.peer = shown(address)
            self.address = address.host
            if ITCPTransport.providedBy(transport):
                transport.setTcpNoDelay(True)
        self._sender = sender_for(transport, self._drained, self._sweep.soon)
        self._backlog = Backlog(transport)
        self._closing = Closing(transport, self._sender, self._sweep)
        self._answer = AnswerWriter(self._sender, self._owner.date)
        self._surplus = not self._owner.admit(self)
        super().connectionMade()
        self._sweep.watch(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._sweep.forget(self)
        self._closing.begun = True
        self._sender.lost()
        forget_failure(self.transport, reason)
        exchange = self._exchange
        self._let_go()
        try:
            if exchange is not None:
                exchange.client_left()
        except Exception:
            self._exchange_raised(exchange)
        finally:
            self._owner.leave(self)

    # what the exchange asks, beside pausing the body

    @cached_property
    def certificate_names(self) -> Sequence[str]:
        """The subjectAltNames of the client's certificate, which TLS has verified; none without one."""
        return certificate_names(self.transport)

    @property
    def seen(self) -> Seen:
        """What can be read of the head that was refused."""
        return seen_in(self._parser.refused)

    @cached_property
    def is_secure(self) -> bool:
        """The client speaks TLS."""
        return ISSLTransport.providedBy(self.transport)

    def accept_body(self) -> None:
        """The body is wanted: send `100 Continue` to a client that waits for it."""
        if not self._awaits_continue or not self._awaited or self.begun:
            return
        self._awaits_continue = False
        # Who has begun to send needs no leave (RFC 9110 §10.1.1).
        if not self._parser.held:
            self._sender.write(responses.CONTINUE)
            if not self._body_paused:
                self._expire_in(self._limits.body_seconds)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its Content-Length.  The body of a HEAD, 204 or 304 stays unsent."""
        if self.begun:
            self._contradicted("an answer was begun twice")
        elif self._awaited:
            to_head = self._parser.asks_for_no_body
            self._answer.whole(status, headers, body, to_head=to_head, close=self._close_line())
            self.begun = True
            self._answered()

    def begin(self, status: int, headers: Headers, body_length: int | None) -> None:
        """Queue the head of an answer whose body follows with `write`.

        :param body_length: in bytes; None sends chunks, to an HTTP/1.0 client everything until the close.
        """
        if self.begun:
            self._contradicted("an answer was begun twice")
        elif self._awaited:
            parser = self._parser
            self._answer.begin(
                status,
                headers,
                body_length,
                to_head=parser.asks_for_no_body,
                old=parser.old,
                close=self._close_line(),
            )
            self.begun = True

    def write(self, data: bytes) -> None:
        """Queue some of the answer's body."""
        if self._awaited and self.begun and not self._answer.write(data):
            self._contradicted("an answer is longer than its Content-Length")

    def flush(self) -> None:
        """Send what is queued, in one piece."""
        if not self._awaited or not self.begun:
            return
        self._answer.flush()
        if self._sender.full and not self._told_full:
            self._told_full = True
            if self._exchange is not None:
                self._exchange.client_full()

    def end(self) -> None:
        """The answer is whole: send the rest of it."""
        if not self._awaited or not self.begun:
            return
        if self._answer.end():
            self._answered()
        else:
            self._contradicted("an answer is shorter than its Content-Length")

    def break_off(self) -> None:
        """The answer cannot be made whole: send what is queued, and let the client see that it was cut."""
        if not self._awaited:
            return
        if self.begun:
            self._answer.flush()
        cut_looks_whole = self.begun and self._answer.end_is_close
        self._let_go()
        if cut_looks_whole:
            self.abort()
        else:
            self._close()

    # what the factory asks, beside hurrying

    @property
    def active(self) -> bool:
        """A request, or a refusal, has no whole answer yet."""
        return self._awaited

    def cut(self, error: GatewayError) -> None:
        """End the exchange at hand, or a head that has begun, with this error, and close."""
        if self._awaited:
            self._body_failed(error)
        elif self._reading is _HEAD and self._head_begun:
            self._refuse(error)
        else:
            self._close()

    def abort(self) -> None:
        """End the connection at once, whatever is on its way."""
        self._drop()
        self._closing.abort()

    # what the request half tells

    def _head_received(self, head: RequestHead) -> None:
        self._awaited = True
        self.begun = False
        exchange = self._starter.exchange_started(head, self)
        if self._awaited:
            self._exchange = exchange

    def _refuse(self, error: GatewayError) -> None:
        self._drop()
        self._keep_alive = False
        self._exchange = None
        self._awaited = True
        self.begun = False
        try:
            self._starter.request_refused(error, self)
        except Exception:
            self._log.failure("a refusal could not be answered")
        self.break_off()  # nothing, if it was answered

    def _body_failed(self, error: GatewayError) -> None:
        self._drop()
        self._keep_alive = False
        if not self._awaited:
            self._close()  # only the rest behind an answer
            return
        exchange = self._exchange
        try:
            if exchange is not None:
                exchange.request_failed(error)
        except Exception:
            self._exchange_raised(exchange)
        if not self.begun:
            self.break_off()  # nothing, if it was answered

    def _exchange_raised(self, exchange: Exchange | None) -> None:
        """What the floor above raised goes no further; its exchange is over."""
        self._log.failure("an exchange failed")
        try:
            if exchange is not None:
                exchange.break_down()
        except Exception:
            self._log.failure("an exchange failed at breaking down")
        if self._awaited and not self.begun:
            self._refuse(GatewayError("internal_error", "The gateway failed at this request."))
        else:
            self.break_off()
            self._close()

    def _close(self) -> None:
        if self._closing.begun:
            return
        lingers = self._may_be_sending()
        self._drop()
        self._read_on()
        self._closing.begin(lingers=lingers)

    # how it answers

    def _close_line(self) -> bytes:
        """Settle whether the connection outlives this answer, and say so."""
        last = self._owner.winding_down
        if self._reading is _HELD:
            last = last and not self._parser.held  # a request that is here already is answered, too
        elif self._reading is _BODY:
            last = last or self._rest_is_long()
        if last:
            self._keep_alive = False
        return b"" if self._keep_alive else responses.CLOSE

    def _answered(self) -> None:
        """The answer is on its way, whole."""
        if self._body_paused:
            self.resume_body()
        self._let_go()
        if not self._keep_alive or self._reading is _HELD:
            self._next_request()

    def _let_go(self) -> None:
        """The exchange hears nothing more."""
        self._awaited = False
        self._exchange = None
        self._body_paused = False

    def _contradicted(self, fault: str) -> None:
        """The floor above does not do what it has said: cut the answer at hand, if there still is one."""
        if self._awaited:
            self._log.error("{fault}: broken off", fault=fault)
            self.break_off()

    def _drained(self) -> None:
        """The transport has sent everything it was given."""
        if self._closing.begun:
            self._closing.drained()
            return
        if self._told_full:
            self._told_full = False
            exchange = self._exchange
            try:
                if exchange is not None:
                    exchange.client_drained()
            except Exception:
                self._exchange_raised(exchange)
        if self._reading is _HEAD and self._paused:
            self._resume()

    # what the sweep asks

    def swept(self, now: float) -> None:
        """Look at the deadlines."""
        if self._closing.begun:
            self._closing.swept(now)
        elif now >= self._deadline:
            self._expired()
        if not self._sender.waiting:
            self._backlog.clear()
        elif self._backlog.stalled_for(now) >= WRITE_STALL_SECONDS:
            self.abort()
        if self._paused and has_left(self.transport):
            self.abort()
