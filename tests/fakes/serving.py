"""The floor above the wire, as a recording: what it was told, and a plain answer."""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import GatewayError
from gateway.messages import RequestHead
from gateway.wire.downstream import DownstreamConnection


class RecordingExchange:
    """Notes what the wire tells it, in order."""

    def __init__(
        self, head: RequestHead, connection: DownstreamConnection, starter: RecordingStarter
    ) -> None:
        self.head = head
        self.connection = connection
        self.events: list[str] = []
        """`body` for each piece, `ended`, `left`, `full`, `drained`, or the code of what failed."""
        self.body = b""
        self._starter = starter

    def body_received(self, data: bytes) -> None:
        assert data
        self.body += data
        self.events.append("body")
        self._starter.on_body(self)

    def body_ended(self) -> None:
        self.events.append("ended")
        self._starter.on_request(self)

    def client_left(self) -> None:
        self.events.append("left")

    def request_failed(self, error: GatewayError) -> None:
        self.events.append(error.code)
        self.connection.respond(error.status, [], error.message.encode())

    def break_down(self) -> None:
        self.events.append("break_down")

    def client_full(self) -> None:
        self.events.append("full")

    def client_drained(self) -> None:
        self.events.append("drained")


def answer_echo(exchange: RecordingExchange) -> None:
    """Answer with what was asked."""
    head = exchange.head
    query = b"?" + head.query if head.query else b""
    exchange.connection.respond(200, [], b"%b %b%b %b" % (head.method, head.path, query, exchange.body))


def stay_silent(exchange: RecordingExchange) -> None:
    """Leave the answer to the test."""


class RecordingStarter:
    """Starts recording exchanges and answers refusals with their sentence."""

    def __init__(
        self,
        on_request: Callable[[RecordingExchange], None] = stay_silent,
        *,
        on_start: Callable[[RecordingExchange], None] = stay_silent,
        on_body: Callable[[RecordingExchange], None] = stay_silent,
    ) -> None:
        """Make the starter.

        :param on_request: called with each exchange whose request is whole.
        :param on_start: called as each exchange starts.
        :param on_body: called for each piece of a body.
        """
        self.on_request = on_request
        self.on_start = on_start
        self.on_body = on_body
        self.exchanges: list[RecordingExchange] = []
        self.refusals: list[GatewayError] = []

    @property
    def last(self) -> RecordingExchange:
        """The exchange that was started last."""
        return self.exchanges[-1]

    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> RecordingExchange:
        exchange = RecordingExchange(head, connection, self)
        self.exchanges.append(exchange)
        self.on_start(exchange)
        return exchange

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        self.refusals.append(error)
        connection.respond(error.status, [], error.message.encode())
