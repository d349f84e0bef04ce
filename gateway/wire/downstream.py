"""A client's connection: requests in, answers out, one exchange at a time.

Two halves move on their own.  The *request* half reads a head, then its body, then holds whatever is sent
ahead of its turn.  The *answer* half belongs to one exchange until the answer's end; only then is the next
head looked at, in order (RFC 9112 §9.3.2).  Either half may finish first: an answer may come before the
request's body is whole, and the rest of that is then swallowed.

A client that closes its sending side counts as gone while an exchange runs: RFC 9112 §9.6 would allow it to
wait for the answer, but nobody can tell it from one that left, and an answer nobody reads costs tokens.

Deadlines are one field, looked at by the sweep.  What the floor above raises is caught here: it reaches
neither llhttp nor any other connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.errors import GatewayError
from gateway.messages import Headers
from gateway.wire import responses
from gateway.wire.addresses import shown
from gateway.wire.answering import AnswerWriter
from gateway.wire.client_names import certificate_names
from gateway.wire.closing import Closing
from gateway.wire.exchanging import Exchange
from gateway.wire.limits import (
    HANDSHAKE_SECONDS,
    LAST_REQUEST_SECONDS,
    LINGER_SECONDS,
    PIPELINED_BYTES,
    SWALLOWED_BYTES,
    WRITE_STALL_SECONDS,
)
from gateway.wire.peer import Backlog, has_left, has_unread
from gateway.wire.request_parsing import RequestParser
from gateway.wire.sending import sender_for
from gateway.wire.sweep import NEVER

if TYPE_CHECKING:
    from gateway.wire.listening import DownstreamFactory


class _Reading(Enum):
    """What the request half is at."""

    HANDSHAKE = "TLS is not there yet"
    HEAD = "nothing yet, or part of a head"
    BODY = "the body of the request at hand"
    HELD = "that request is whole; what follows waits for its answer's end"
    DROPPED = "nothing more is read for its meaning"


# By themselves: looking a member up in its Enum costs as much as a call, several times a request.
_HANDSHAKE, _HEAD, _BODY, _HELD, _DROPPED = _Reading


@implementer(IHandshakeListener)
class DownstreamConnection(Protocol):
    """One client.  Also the handle on which the exchange at hand answers.

    What is asked of it after that answer's end, or after the client left, does nothing.
    """

    _log = Logger()

    def __init__(self, factory: DownstreamFactory) -> None:
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
        self._owner = factory
        self._sweep = factory.sweep
        self._starter = factory.starter
        self._limits = factory.limits()
        """For the request at hand: a reload changes them for the next one."""
        self._deadline = NEVER
        """When what the connection is at has lasted too long."""
        # the request half
        self._parser = RequestParser()
        self._reading = _HEAD
        self._surplus = False
        """One connection too many, which will be told so."""
        self._advancing = False
        self._head_begun = False
        self._awaits_continue = False
        """The client sends the body only after `100 Continue`, which it has not got."""
        self._body_paused = False
        """The exchange wants no more of the body for now."""
        self._body_seconds_left = 0.0
        """Of the body's deadline, while it is paused."""
        self._paused = False
        """The transport is not read."""
        # the answer half
        self._exchange: Exchange | None = None
        self._awaited = False
        """A request, or a refusal, has no whole answer yet."""
        self._keep_alive = False
        """The connection outlives the answer at hand."""
        self._told_full = False
        """The exchange knows that the client takes no more."""

    # what Twisted calls

    def connectionMade(self) -> None:
        transport = self.transport
        assert transport is not None
        self._input = cast(IPushProducer, transport)
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
        # One too many is told so when it asks something: an answer before any question looks like a fault.
        patience = self._idle_seconds()
        if ISSLTransport.providedBy(transport):
            self._reading = _HANDSHAKE
            patience = HANDSHAKE_SECONDS
        self._expire_in(LINGER_SECONDS if self._surplus else patience)
        self._sweep.watch(self)

    def handshakeCompleted(self) -> None:
        if self._reading is _HANDSHAKE:
            self._reading = _HEAD
            if not self._surplus:
                self._expire_in(self._idle_seconds())

    def dataReceived(self, data: bytes) -> None:
        if self._surplus:
            self._surplus = False
            self._refuse(GatewayError("overloaded", "The gateway has no room for another connection."))
        elif self._reading is not _DROPPED:
            self._parser.receive(data)
            if not self._advancing:
                self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._sweep.forget(self)
        self._closing.begun = True
        self._reading = _DROPPED
        self._parser.discard()
        exchange = self._exchange
        self._let_go()
        try:
            if exchange is not None:
                exchange.client_left()
        except Exception:
            self._exchange_raised(exchange)
        finally:
            self._owner.leave(self)

    # what the exchange asks

    @cached_property
    def certificate_names(self) -> Sequence[str]:
        """The subjectAltNames of the client's certificate, which TLS has verified; none without one."""
        return certificate_names(self.transport)

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

    def pause_body(self) -> None:
        """Hand over no more of the body for now.  Its deadline stands still."""
        if self._reading is not _BODY or self._body_paused:
            return
        self._body_paused = True
        self._body_seconds_left = self._limits.body_seconds
        if self._deadline != NEVER:
            self._body_seconds_left = self._deadline - self._sweep.seconds()
            self._deadline = NEVER
        self._pause()

    def resume_body(self) -> None:
        """Go on with the body, in the reactor's next turn."""
        if not self._body_paused:
            return
        self._body_paused = False
        if not self._awaits_continue:
            self._expire_in(self._body_seconds_left)
        self._resume()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its Content-Length.  The body of a HEAD, 204 or 304 stays unsent."""
        if self._may_begin():
            to_head = self._parser.asks_for_no_body
            self._answer.whole(status, headers, body, to_head=to_head, close=self._close_line())
            self.begun = True
            self._answered()

    def begin(self, status: int, headers: Headers, body_length: int | None) -> None:
        """Queue the head of an answer whose body follows with `write`.

        :param body_length: in bytes; None sends chunks, to an HTTP/1.0 client everything until the close.
        """
        if self._may_begin():
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
        if not self._is_open():
            return
        if not self._answer.write(data):
            self._log.error("an answer is longer than its Content-Length: broken off")
            self.break_off()

    def flush(self) -> None:
        """Send what is queued, in one piece."""
        if not self._is_open():
            return
        self._answer.flush()
        if self._sender.full and not self._told_full:
            self._told_full = True
            if self._exchange is not None:
                self._exchange.client_full()

    def end(self) -> None:
        """The answer is whole: send the rest of it."""
        if not self._is_open():
            return
        if self._answer.end():
            self._answered()
        else:
            self._log.error("an answer is shorter than its Content-Length: broken off")
            self.break_off()

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

    # what the factory asks

    def hurry(self) -> None:
        """Wait for the next request no longer than one does who drains; it counts from the last answer's end."""
        if self._reading is _HEAD and not self._head_begun and not self._parser.held:
            self._deadline += self._idle_seconds() - self._limits.keep_alive_seconds
            if self._sweep.seconds() >= self._deadline:
                self._expired()

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
        self._reading = _DROPPED
        self._closing.abort()

    # the request half

    def _advance(self) -> None:
        """Give what was received its meaning, as far as its turn has come."""
        self._advancing = True
        try:
            while True:
                reading = self._reading
                if reading is _HEAD:
                    if not self._take_head():
                        break
                elif reading is not _BODY or self._body_paused or not self._take_body():
                    break
        except Exception:
            self._exchange_raised()
        finally:
            self._advancing = False
        if self._reading is _HELD and self._parser.held > PIPELINED_BYTES:
            self._pause()

    def _take_head(self) -> bool:
        """Start an exchange if its head is whole; tell whether there may be more to take."""
        if self._sender.full:
            self._pause()  # who takes no answers gets no more of them
            return False
        limits = self._limits = self._owner.limits()
        try:
            head = self._parser.next_head(limits)
        except GatewayError as error:
            self._refuse(error)
            return False
        if head is None:
            if self._parser.begun and not self._head_begun:
                self._head_begun = True
                self._expire_in(limits.head_seconds)
            return False
        self._deadline = NEVER
        self._head_begun = False
        self._reading = _BODY
        self._awaits_continue = head.expects_continue
        self._keep_alive = self._parser.keep_alive
        self._awaited = True
        self.begun = False
        exchange = self._starter.exchange_started(head, self)
        if self._awaited:
            self._exchange = exchange
        return True

    def _take_body(self) -> bool:
        """Hand over some of the body, or its end; tell whether there may be more to take."""
        parser = self._parser
        if not parser.complete:
            try:
                data = parser.next_body()
            except GatewayError as error:
                self._body_failed(error)
                return False
            if data:
                self._awaits_continue = False
                if self._exchange is not None:
                    self._exchange.body_received(data)
                if self._body_paused or self._reading is not _BODY:
                    return True
            if not parser.complete:
                if parser.held:
                    return True
                if self._deadline == NEVER and not self._awaits_continue:
                    self._expire_in(self._limits.body_seconds)
                return False
        self._reading = _HELD
        self._deadline = NEVER
        if self._exchange is not None:
            self._exchange.body_ended()
        elif not self._awaited:
            self._next_request()
        return True

    def _body_failed(self, error: GatewayError) -> None:
        """The body will never be whole."""
        self._reading = _DROPPED
        self._deadline = NEVER
        self._keep_alive = False
        self._parser.discard()
        if not self._awaited:
            self._close()  # only the rest behind an answer
            return
        try:
            if self._exchange is not None:
                self._exchange.request_failed(error)
        except Exception:
            self._exchange_raised()
        if not self.begun:
            self.break_off()  # nothing, if it was answered

    def _next_request(self) -> None:
        """Request and answer are whole: the next one's turn has come."""
        if not self._keep_alive:
            self._close()
            return
        self._reading = _HEAD
        self._expire_in(self._idle_seconds())
        if self._paused or (self._parser.held and not self._advancing):
            self._resume()

    def _resume(self) -> None:
        """Read again, and go on with what is held: from the reactor, never within what an exchange asks."""
        if self._paused and not self._body_paused:
            self._paused = False
            self._input.resumeProducing()
        if self._parser.held or self._parser.complete:
            self._sweep.soon(self._go_on)

    def _go_on(self) -> None:
        if self._reading is not _DROPPED and not self._advancing:
            self._advance()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._input.pauseProducing()

    # the answer half

    def _is_open(self) -> bool:
        return self._awaited and self.begun

    def _may_begin(self) -> bool:
        """Tell whether there is an answer to begin."""
        if self._awaited and self.begun:
            self._log.error("an answer was begun twice: broken off")
            self.break_off()
        return self._awaited

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

    def _rest_is_long(self) -> bool:
        """Tell whether swallowing the rest of the body would cost more than another connection."""
        parser = self._parser
        if parser.complete:
            return False
        if self._awaits_continue and not parser.held:
            return True  # whether it still comes is the client's choice
        return parser.remaining is None or parser.remaining - parser.held > SWALLOWED_BYTES

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

    def _exchange_raised(self, exchange: Exchange | None = None) -> None:
        """What the floor above raised goes no further; its exchange is over."""
        self._log.failure("an exchange failed")
        exchange = exchange or self._exchange
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

    def _refuse(self, error: GatewayError) -> None:
        """Answer without an exchange, and read nothing more for its meaning."""
        self._reading = _DROPPED
        self._deadline = NEVER
        self._keep_alive = False
        self._parser.discard()
        self._exchange = None
        self._awaited = True
        self.begun = False
        try:
            self._starter.request_refused(error, self)
        except Exception:
            self._log.failure("a refusal could not be answered")
        self.break_off()  # nothing, if it was answered

    def _drained(self) -> None:
        """The transport has sent everything it was given."""
        if self._closing.begun:
            self._closing.drained()
            return
        if self._told_full:
            self._told_full = False
            try:
                if self._exchange is not None:
                    self._exchange.client_drained()
            except Exception:
                self._exchange_raised()
        if self._reading is _HEAD and self._paused:
            self._resume()

    def _close(self) -> None:
        """Send nothing new, and close."""
        if self._closing.begun:
            return
        # Idle, or the client has said itself that it sends no more.
        clean = self._reading is _HEAD or (self._reading is _HELD and not self._parser.keep_alive)
        clean = clean and not self._parser.held
        self._reading = _DROPPED
        self._parser.discard()
        if self._paused:
            self._paused = False
            self._input.resumeProducing()
        self._closing.begin(lingers=not clean)

    # deadlines

    def _idle_seconds(self) -> float:
        """How long the next request is waited for."""
        seconds = self._limits.keep_alive_seconds
        return min(seconds, LAST_REQUEST_SECONDS) if self._owner.draining else seconds

    def _expire_in(self, seconds: float) -> None:
        self._deadline = self._sweep.seconds() + seconds

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

    def _expired(self) -> None:
        if self._reading is _BODY:
            seconds = self._limits.body_seconds
            self._body_failed(
                GatewayError("request_timeout", f"The body took longer than {seconds:g} seconds.")
            )
        elif self._head_begun:
            seconds = self._limits.head_seconds
            self._refuse(GatewayError("request_timeout", f"The head took longer than {seconds:g} seconds."))
        elif self._paused or not has_unread(self.transport):
            self._close()
        # else it came at the last moment: the reactor hands it over in this turn
