"""A client's requests in their turn: a head, then its body; what is sent ahead is held.

This is the reading half of a client's connection.  One request is at hand at a time: the next head is not looked
at before that one's answer has ended, so answers keep the order of requests (RFC 9112 §9.3.2).  Deadlines are one
field, looked at by the sweep.

It decides nothing about answers.  Whoever inherits hears of heads and faults, and says with `_next_request` that
an answer has ended; bodies go to the exchange itself.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IHandshakeListener, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.wire.exchanging import Exchange
from gateway.wire.limits import (
    HANDSHAKE_SECONDS,
    LAST_REQUEST_SECONDS,
    LINGER_SECONDS,
    PIPELINED_BYTES,
    SWALLOWED_BYTES,
)
from gateway.wire.peer import has_unread
from gateway.wire.request_parsing import RequestParser
from gateway.wire.sending import Sender
from gateway.wire.sweep import NEVER

if TYPE_CHECKING:
    from gateway.wire.listening import DownstreamFactory


class Reading(Enum):
    """What is being read."""

    HANDSHAKE = "TLS is not there yet"
    HEAD = "nothing yet, or part of a head"
    BODY = "the body of the request at hand"
    HELD = "that request is whole; what follows waits for its answer's end"
    DROPPED = "nothing more is read for its meaning"


# By themselves: looking a member up in its Enum costs as much as a call, several times a request.
_HANDSHAKE, _HEAD, _BODY, _HELD, _DROPPED = Reading


@implementer(IHandshakeListener)
class RequestReceiver(Protocol):
    """Reads the requests of one client; `DownstreamConnection` answers them."""

    _sender: Sender
    """The other half's, from `connectionMade` on."""

    def __init__(self, factory: DownstreamFactory) -> None:
        self._owner = factory
        self._sweep = factory.sweep
        self._limits = factory.limits()
        """For the request at hand: a reload changes them for the next one."""
        self._deadline = NEVER
        """When what is being read has taken too long."""
        self._parser = RequestParser()
        self._reading = _HEAD
        self._surplus = False
        """One connection too many: its first request is refused unseen."""
        self._advancing = False
        """`_advance` is at work; what it calls need not start it again."""
        self._head_begun = False
        """Some of a head is here, and its deadline runs."""
        self._exchange: Exchange | None = None
        """Whom the body goes to; None as soon as nobody wants to hear of it."""
        self._keep_alive = False
        """Another request may follow the one at hand."""
        self._awaits_continue = False
        """The client sends the body only after `100 Continue`, which it has not got."""
        self._body_paused = False
        """The exchange wants no more of the body for now."""
        self._body_seconds_left = 0.0
        """Of the body's deadline, while it is paused."""
        self._paused = False
        """The transport is not read."""

    # what Twisted calls

    def connectionMade(self) -> None:
        self._input = cast(IPushProducer, self.transport)
        # One too many is told so when it asks something: an answer before any question looks like a fault.
        patience = self._idle_seconds()
        if ISSLTransport.providedBy(self.transport):
            self._reading = _HANDSHAKE
            patience = HANDSHAKE_SECONDS
        self._expire_in(LINGER_SECONDS if self._surplus else patience)

    def handshakeCompleted(self) -> None:
        if self._reading is _HANDSHAKE:
            self._reading = _HEAD
            if not self._surplus:
                self._expire_in(self._idle_seconds())

    def dataReceived(self, data: bytes) -> None:
        if self._reading is not _DROPPED:
            self._parser.receive(data)
            if not self._advancing:
                self._advance()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._drop()
        self._parser.close()

    # what the exchange asks

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

    # what the factory asks

    def hurry(self) -> None:
        """Wait for the next request no longer than one does who drains; it counts from the last answer's end."""
        if self._reading is _HEAD and not self._head_begun and not self._parser.held:
            self._deadline += self._idle_seconds() - self._limits.keep_alive_seconds
            if self._sweep.seconds() >= self._deadline:
                self._expired()

    # what the other half does

    def _head_received(self, head: RequestHead) -> None:
        """A head was judged: start its exchange.  From now on an answer is awaited."""
        raise NotImplementedError

    def _refuse(self, error: GatewayError) -> None:
        """There is no valid request: answer without an exchange, and end."""
        raise NotImplementedError

    def _body_failed(self, error: GatewayError) -> None:
        """The body will never be whole."""
        raise NotImplementedError

    def _exchange_raised(self, exchange: Exchange | None) -> None:
        """The floor above has raised, and the exception is at hand; None before it has given us an exchange."""
        raise NotImplementedError

    def _close(self) -> None:
        """There is no next request: send nothing new, and close."""
        raise NotImplementedError

    # what the other half asks

    def _next_request(self) -> None:
        """Request and answer are whole: the next one's turn has come."""
        if not self._keep_alive:
            self._close()
            return
        self._reading = _HEAD
        self._expire_in(self._idle_seconds())
        if self._paused or (not self._advancing and self._parser.held):
            self._resume()

    def _drop(self) -> None:
        """Read nothing more for its meaning."""
        self._reading = _DROPPED
        self._deadline = NEVER
        self._body_paused = False
        self._parser.discard()

    def _may_be_sending(self) -> bool:
        """Tell whether the client may still be sending: it is neither idle, nor has it said that it sends no more."""
        done = self._reading is _HEAD or (self._reading is _HELD and not self._parser.keep_alive)
        return not done or self._parser.held > 0

    def _rest_is_long(self) -> bool:
        """Tell whether swallowing the rest of the body would cost more than another connection."""
        parser = self._parser
        if parser.complete:
            return False
        if self._awaits_continue and not parser.held:
            return True  # whether it still comes is the client's choice
        return parser.remaining is None or parser.remaining - parser.held > SWALLOWED_BYTES

    def _expire_in(self, seconds: float) -> None:
        self._deadline = self._sweep.seconds() + seconds

    def _expired(self) -> None:
        """What is being read has taken too long."""
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

    # how it reads

    def _advance(self) -> None:
        """Give what was received its meaning, as far as its turn has come."""
        self._advancing = True
        exchange = None
        try:
            while True:
                reading = self._reading
                exchange = self._exchange  # what raises may have answered before
                if reading is _HEAD:
                    if not self._take_head():
                        break
                elif reading is not _BODY or self._body_paused or not self._take_body():
                    break
        except Exception:
            self._exchange_raised(exchange)
        finally:
            self._advancing = False
        if self._reading is _HELD and self._parser.held > PIPELINED_BYTES:
            self._pause()

    def _take_head(self) -> bool:
        """Begin a request if its head is whole; tell whether there may be more to take."""
        if self._sender.full:
            self._pause()  # who takes no answers gets no more of them
            return False
        limits = self._limits = self._owner.limits()
        if self._surplus:
            self._refuse(GatewayError("overloaded", "The gateway has no room for another connection."))
            return False
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
        self._head_received(head)
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
        else:
            self._next_request()  # the answer was there first
        return True

    def _resume(self) -> None:
        """Read again, and go on with what is held: from the reactor, never within what an exchange asks."""
        if self._paused and not self._body_paused:
            self._read_on()
        if self._parser.held or self._parser.complete:
            self._sweep.soon(self._go_on)

    def _go_on(self) -> None:
        if self._reading is not _DROPPED and not self._advancing:
            self._advance()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._input.pauseProducing()

    def _read_on(self) -> None:
        if self._paused:
            self._paused = False
            self._input.resumeProducing()

    def _idle_seconds(self) -> float:
        """How long the next request is waited for."""
        seconds = self._limits.keep_alive_seconds
        return min(seconds, LAST_REQUEST_SECONDS) if self._owner.draining else seconds
