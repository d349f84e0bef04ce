"""Who asks for connections and hears answers, and remembers everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.errors import GatewayError
from gateway.messages import ResponseHead
from gateway.wire.upstream import UpstreamConnection


class RecordingReceiver:
    """An `AnswerReceiver` that writes down what it hears."""

    def __init__(self, when: Mapping[str, Callable[[], object]] | None = None) -> None:
        """Make one.

        :param when: what to do on hearing the event of this name, after it was written down.
        """
        self.events: list[str] = []
        """Names of what was heard, in order."""
        self.head: ResponseHead | None = None
        self.body = b""
        self.error: GatewayError | None = None
        self._when = when or {}

    @property
    def outcome(self) -> str:
        """How it ended: "ended", the code of an error, or "" so far."""
        if self.error is not None:
            return self.error.code
        return "ended" if "answer_ended" in self.events else ""

    def head_received(self, head: ResponseHead) -> None:
        self.head = head
        self._hear("head_received")

    def body_received(self, data: bytes) -> None:
        self.body += data
        self._hear("body_received")

    def read_ended(self) -> None:
        self._hear("read_ended")

    def answer_ended(self) -> None:
        self._hear("answer_ended")

    def answer_failed(self, error: GatewayError) -> None:
        self.error = error
        self._hear("answer_failed")

    def break_down(self) -> None:
        self._hear("break_down")

    def upstream_full(self) -> None:
        self._hear("upstream_full")

    def upstream_drained(self) -> None:
        self._hear("upstream_drained")

    def _hear(self, event: str) -> None:
        self.events.append(event)
        self._when.get(event, lambda: None)()


class RecordingWaiter:
    """A `ConnectionWaiter` that writes down what it gets."""

    def __init__(self, then: Callable[[UpstreamConnection], object] = lambda connection: None) -> None:
        """Make one.

        :param then: what to do with a connection, at once.
        """
        self.connections: list[UpstreamConnection] = []
        self.errors: list[GatewayError] = []
        self._then = then
        self.broken_down = False

    @property
    def connection(self) -> UpstreamConnection:
        """The one that it got."""
        (connection,) = self.connections
        return connection

    @property
    def error(self) -> GatewayError:
        """The one that it got."""
        (error,) = self.errors
        return error

    @property
    def waits(self) -> bool:
        """It has heard nothing yet."""
        return not self.connections and not self.errors

    def connection_ready(self, connection: UpstreamConnection) -> None:
        self.connections.append(connection)
        self._then(connection)

    def break_down(self) -> None:
        self.broken_down = True

    def connection_failed(self, error: GatewayError) -> None:
        self.errors.append(error)
