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
        """What was heard, in order: the name of a call; of a read what it brought, as "head body end"."""
        self.head: ResponseHead | None = None
        self.body = b""
        self.error: GatewayError | None = None
        self._ended = False
        self._when = when or {}

    @property
    def outcome(self) -> str:
        """How it ended: "ended", the code of an error, or "" so far."""
        if self.error is not None:
            return self.error.code
        return "ended" if self._ended else ""

    def answer_read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        self.head = head or self.head
        self.body += body
        if ended:
            self._ended = True
        said = [name for name, is_said in (("head", head), ("body", body), ("end", ended)) if is_said]
        self._hear(" ".join(said))

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
