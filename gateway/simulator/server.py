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
from gateway.simulator import openai
from gateway.simulator.script import Playwright
from gateway.simulator.steps import Begin, Blurt, BreakOff, End, Reset, Respond, Say, Step, Wait
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

    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> Exchange:
        connection.accept_body()
        return SimulatedExchange(self._reactor, self._playwright, head, connection)

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        _refuse(error, connection)


class SimulatedExchange:
    """One request: its body as it comes in, then the steps of its answer."""

    def __init__(
        self,
        reactor: IReactorTime,
        playwright: Playwright,
        head: RequestHead,
        connection: DownstreamConnection,
    ) -> None:
        self._reactor = reactor
        self._playwright = playwright
        self._head = head
        self._connection = connection
        self._body: list[bytes] = []
        self._steps: Iterator[Step] = iter(())
        self._later: IDelayedCall | None = None
        self._client_is_full = False

    def body_received(self, data: bytes) -> None:
        self._body.append(data)

    def body_ended(self) -> None:
        self._steps = self._playwright.script(self._head, b"".join(self._body))
        self._play()

    def request_failed(self, error: GatewayError) -> None:
        _refuse(error, self._connection)

    def client_left(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def break_down(self) -> None:
        self.client_left()

    def client_full(self) -> None:
        self._client_is_full = True

    def client_drained(self) -> None:
        self._client_is_full = False
        if self._later is None:
            self._play()

    def _play(self) -> None:
        """Take steps until one has to wait: for time, for the client, or for the reactor's other work."""
        said = 0
        for step in self._steps:
            match step:
                case Wait(seconds):
                    self._connection.flush()
                    self._play_later(seconds)
                    return
                case Say(data):
                    self._connection.write(data)
                    said += len(data)
                    if said >= BURST_BYTES:
                        self._connection.flush()
                        self._play_later(0)
                        return
                case Blurt(data):
                    transport = self._connection.transport
                    assert transport is not None  # the client has not left
                    transport.write(data)
                case Respond(status, headers, body):
                    self._connection.respond(status, headers, body)
                    return
                case Begin(status, headers, body_length):
                    self._connection.begin(status, headers, body_length)
                case End():
                    self._connection.end()
                    return
                case BreakOff():
                    self._connection.break_off()
                    return
                case Reset():
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
