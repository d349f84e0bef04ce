"""The simulated provider as a server: it takes a request's body and plays the script of its answer.

It is an `ExchangeStarter` on the wire's own HTTP, so it is as strict about requests as the gateway is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import assert_never

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.simulator import books, openai
from gateway.simulator.books import Account, Books
from gateway.simulator.script import Playwright
from gateway.simulator.steps import Begin, Blurt, BreakOff, End, Reset, Respond, Say, Step, Wait
from gateway.simulator.wishes import model_named, provider_of
from gateway.wire.downstream import DownstreamConnection
from gateway.wire.exchanging import Exchange
from gateway.wire.limits import DownstreamLimits
from gateway.wire.listening import DownstreamFactory
from gateway.wire.sweep import Sweep

BURST_BYTES = 64 * 1024
"""After so much of an unpaced stream the reactor gets a turn: it serves the gateway and others as well."""


class Simulator:
    """Starts one exchange a request."""

    def __init__(self, reactor: IReactorTime, playwright: Playwright) -> None:
        self._reactor = reactor
        self._playwright = playwright
        self.books = Books()

    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> Exchange:
        connection.accept_body()
        return SimulatedExchange(self._reactor, self._playwright, self.books, head, connection)

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        self.books.refused += 1
        _refuse(error, connection)


class SimulatedExchange:
    """One request: its body as it comes in, then the steps of its answer."""

    def __init__(
        self,
        reactor: IReactorTime,
        playwright: Playwright,
        books: Books,
        head: RequestHead,
        connection: DownstreamConnection,
    ) -> None:
        self._reactor = reactor
        self._playwright = playwright
        self._books = books
        self._account: Account | None = None
        """None until the request has come whole."""
        self._head = head
        self._connection = connection
        self._body: list[bytes] = []
        self._steps: Iterator[Step] = iter(())
        self._later: IDelayedCall | None = None
        self._client_is_full = False

    def body_received(self, data: bytes) -> None:
        self._body.append(data)

    def body_ended(self) -> None:
        head, body = self._head, b"".join(self._body)
        if head.path == books.PATH:
            self._connection.respond(*self._books.respond(head))
            return
        model = openai.model_in(model_named(body))
        self._account = self._books.asked(provider_of(head), model)
        self._steps = self._playwright.script(head, body)
        self._play()

    def request_failed(self, error: GatewayError) -> None:
        self._books.refused += 1
        _refuse(error, self._connection)

    def client_left(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._account is not None:
            self._account.ended(books.LEFT)
        else:
            self._books.unfinished += 1

    def break_down(self) -> None:
        self.client_left()

    def client_full(self) -> None:
        self._client_is_full = True

    def client_drained(self) -> None:
        self._client_is_full = False
        if self._later is None and self._account is not None:
            self._play()

    def _play(self) -> None:
        """Take steps until one has to wait: for time, for the client, or for the reactor's other work."""
        account, said = self._account, 0
        assert account is not None
        for step in self._steps:
            match step:
                case Wait(seconds):
                    self._connection.flush()
                    self._play_later(seconds)
                    return
                case Say(data, spoken, usage):
                    self._connection.write(data)
                    account.said(spoken, usage)
                    said += len(data)
                    if said >= BURST_BYTES:
                        self._connection.flush()
                        self._play_later(0)
                        return
                case Blurt(data):
                    transport = self._connection.transport
                    assert transport is not None  # the client has not left
                    transport.write(data)
                case Respond(status, headers, body, asked, spoken, usage):
                    account.begun(status, asked)
                    account.said(spoken, usage)
                    account.ended(books.WHOLE)
                    self._connection.respond(status, headers, body)
                    return
                case Begin(status, headers, body_length, asked):
                    account.begun(status, asked)
                    self._connection.begin(status, headers, body_length)
                case End():
                    account.ended(books.WHOLE)
                    self._connection.end()
                    return
                case BreakOff():
                    account.ended(books.BROKEN_OFF)
                    self._connection.break_off()
                    return
                case Reset():
                    account.ended(books.BROKEN_OFF)
                    self._connection.abort()
                    return
                case other:
                    assert_never(other)
        self._connection.flush()  # the script has fallen silent

    def _play_later(self, seconds: float) -> None:
        self._later = self._reactor.callLater(seconds, self._waited)

    def _waited(self) -> None:
        self._later = None
        if not self._client_is_full:
            self._play()


def _refuse(error: GatewayError, connection: DownstreamConnection) -> None:
    body = openai.error_body(error.message, error.row.type, param=error.param, code=error.code)
    connection.respond(error.status, [(b"content-type", b"application/json")], body)


def simulator_factory(
    reactor: IReactorTime,
    sweep: Sweep,
    limits: Callable[[], DownstreamLimits] = DownstreamLimits,
    listener: str = "",
    standing: tuple[str, ...] = (),
) -> DownstreamFactory:
    """The factory whose connections are answered by the simulator.

    :param reactor: of the delays that drills ask for.
    :param sweep: of the wire's own deadlines.
    :param standing: misbehaviour that every request meets, as groups of directives.
    """
    playwright = Playwright(sweep.seconds, time.time, standing)
    return DownstreamFactory(Simulator(reactor, playwright), sweep, limits, listener)
