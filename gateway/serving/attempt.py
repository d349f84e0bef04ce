"""One try at one backend.  It ends in facts: an answer that is whole, or a GatewayError that says how far it got."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import GatewayError
from gateway.messages import ResponseHead
from gateway.serving.outgoing import OutgoingRequest
from gateway.serving.upload import Upload
from gateway.wire.pools import PendingConnection, Pools
from gateway.wire.upstream import UpstreamConnection


class AttemptObserver(Protocol):
    """Who is told of an attempt.  After `answer_ended` or `attempt_failed` nothing more is."""

    def answer_begun(self, head: ResponseHead) -> None:
        """The provider's head is here."""

    def answer_body(self, data: bytes) -> None:
        """A piece of its body."""

    def answer_paused(self) -> None:
        """All that has arrived so far was told: the moment to send it on."""

    def answer_ended(self) -> None:
        """The answer is whole."""

    def attempt_failed(self, error: GatewayError) -> None:
        """There will be no answer, or no more of it."""

    def break_down(self) -> None:
        """The gateway itself has failed, as the exception at hand says; the attempt is to be cancelled."""


class Attempt:
    """Sends a request to one backend and tells the observer what comes of it.

    It decides one thing by itself: a kept connection that dies before a byte of the answer is tried once more
    on a fresh one, for the provider may have closed it in the moment we used it (RFC 9112 §9.3.1).
    """

    __slots__ = ("_connection", "_observer", "_pending", "_pools", "_request", "_upload", "connections")

    def __init__(
        self, pools: Pools, request: OutgoingRequest, observer: AttemptObserver, upload: Upload | None = None
    ) -> None:
        self._pools = pools
        self._request = request
        self._observer = observer
        self._upload = upload
        self._pending: PendingConnection | None = None
        self._connection: UpstreamConnection | None = None
        self.connections = 0
        """How many connections the request was sent on."""

    def start(self) -> None:
        """Ask for a connection and send the request on it."""
        # A streamed body cannot be sent twice, so it is not risked on a kept connection that may be dying.
        self._acquire(fresh=self._upload is not None)

    def _acquire(self, *, fresh: bool) -> None:
        backend = self._request.backend
        pending = self._pools.acquire(backend.destination, self, backend.timeouts, fresh=fresh)
        # None means that `connection_ready` has been called already, and may even have started anew.
        if pending is not None:
            self._pending = pending

    def cancel(self) -> None:
        """End it, in whatever phase it is; the observer hears nothing more."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    def pause(self) -> None:
        """The client is slow: read no more of the answer for now."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._connection.resume()

    # -- ConnectionWaiter --------------------------------------------------------------------------

    def connection_ready(self, connection: UpstreamConnection) -> None:
        self._pending = None
        self._connection = connection
        self.connections += 1
        request = self._request
        connection.send(
            request.wire_bytes(),
            self,
            timeouts=request.backend.timeouts,
            more=self._upload is not None,
        )
        if self._upload is not None and self._connection is connection:
            self._upload.connected(connection)

    def connection_failed(self, error: GatewayError) -> None:
        self._pending = None
        self._observer.attempt_failed(error)

    # -- AnswerReceiver ----------------------------------------------------------------------------

    def head_received(self, head: ResponseHead) -> None:
        self._observer.answer_begun(head)

    def body_received(self, data: bytes) -> None:
        self._observer.answer_body(data)

    def read_ended(self) -> None:
        self._observer.answer_paused()

    def answer_ended(self) -> None:
        self._disconnected()
        self._observer.answer_ended()

    def answer_failed(self, error: GatewayError) -> None:
        connection = self._disconnected()
        if (
            error.code == "provider_reset"
            and self._upload is None
            and connection is not None
            and connection.reused
        ):
            self._acquire(fresh=True)
        else:
            self._observer.attempt_failed(error)

    def break_down(self) -> None:
        self._disconnected()
        self._observer.break_down()

    def upstream_full(self) -> None:
        if self._upload is not None:
            self._upload.full()

    def upstream_drained(self) -> None:
        if self._upload is not None:
            self._upload.drained()

    def _disconnected(self) -> UpstreamConnection | None:
        connection, self._connection = self._connection, None
        if self._upload is not None:
            self._upload.disconnected()
        return connection
