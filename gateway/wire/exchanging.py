"""What the wire asks of the floor above: somebody who takes a request and answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.errors import GatewayError
from gateway.messages import RequestHead

if TYPE_CHECKING:
    from gateway.wire.downstream import DownstreamConnection


class Exchange(Protocol):
    """What the wire asks of the floor above, for one request."""

    def body_received(self, data: bytes) -> None:
        """More of the body came."""

    def body_ended(self) -> None:
        """The body is whole."""

    def client_left(self) -> None:
        """The client is gone before its answer was whole.  At most once; nothing is called after it."""

    def request_failed(self, error: GatewayError) -> None:
        """The body went wrong: too large, too slow, malformed.  Answer, or break off what has begun."""

    def client_full(self) -> None:
        """The client takes no more for now: stop writing."""

    def client_drained(self) -> None:
        """The client takes more again."""

    def break_down(self) -> None:
        """One of these has raised, and the exception is at hand: release what was begun.

        Nothing is called after it.  What it does not answer is refused, or broken off.
        """


class ExchangeStarter(Protocol):
    """What the factory is given: where requests go."""

    def exchange_started(self, head: RequestHead, connection: DownstreamConnection) -> Exchange:
        """A head was judged; its body follows.  May answer at once."""

    def request_refused(self, error: GatewayError, connection: DownstreamConnection) -> None:
        """There is no valid request: answer with `connection.respond`, now."""
