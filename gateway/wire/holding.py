"""What a provider's connection asks of those who hold it: a receiver for each answer, and a home in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.python.failure import Failure

from gateway.errors import GatewayError
from gateway.messages import ResponseHead

if TYPE_CHECKING:
    from gateway.wire.upstream import UpstreamConnection


class AnswerReceiver(Protocol):
    """Hears the answer to one request."""

    def answer_read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        """What one read has brought: pass it on.

        :param head: the final head, once, with the read that completes it; 1xx answers are passed over.
        :param body: some of the body, without its framing; may be empty.
        :param ended: the answer is whole.  Nothing follows; let go of the connection.
        """

    def answer_failed(self, error: GatewayError) -> None:
        """There will be no more of it.  Nothing follows; let go of the connection."""

    def upstream_full(self) -> None:
        """The provider takes no more of a streamed request body: stop sending."""

    def upstream_drained(self) -> None:
        """The provider has taken everything: go on."""

    def break_down(self) -> None:
        """One of these has raised, and the exception is at hand: release what was begun.

        The connection is ended already; nothing is called after it.
        """


class ConnectionHome(Protocol):
    """Where a connection belongs while it carries no request: whoever makes it, then a pool."""

    def connection_usable(self, connection: UpstreamConnection) -> None:
        """It can carry a request: it is new, or its last answer is whole."""

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None:
        """It will carry none any more.  Said once.

        :param reason: why it was lost; None when we end it ourselves.
        """
