"""One try at one backend.  It ends in facts: an answer that is whole, or a GatewayError that says how far it got."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import GatewayError, Progress
from gateway.messages import ResponseHead
from gateway.policy.breaking import Outcome
from gateway.serving.effort import Effort
from gateway.serving.outgoing import OutgoingRequest
from gateway.serving.provider_answer import ProviderAnswer
from gateway.serving.surroundings import Surroundings
from gateway.serving.upload import Upload
from gateway.wire.pool import PendingConnection
from gateway.wire.upstream import UpstreamConnection


class AttemptObserver(Protocol):
    """Who is told of an attempt.  After an answer's end or `attempt_failed` nothing more is."""

    def attempt_read(self, attempt: Attempt) -> None:
        """More of the answer has come, or its end: `attempt.answer` has it."""

    def attempt_failed(self, attempt: Attempt, error: GatewayError) -> None:
        """There will be no answer, or no more of it."""

    def break_down(self) -> None:
        """The gateway itself has failed, as the exception at hand says; the attempt is to be cancelled."""


class _Nobody:
    """Observes an attempt that has brought all that was wanted."""

    def attempt_read(self, attempt: Attempt) -> None:
        pass

    def attempt_failed(self, attempt: Attempt, error: GatewayError) -> None:
        pass

    def break_down(self) -> None:
        pass


LAST_CHUNK_SECONDS = 1.0
"""How long the end of an answer's body is waited for that has said all it has to say: so its connection can be kept."""

_NOBODY = _Nobody()

# By itself: looking a member up in its Enum costs as much as a call.
_SUCCESS = Outcome.SUCCESS


class Attempt:
    """Sends a request to one backend and tells the observer what comes of it.

    It decides one thing by itself: a kept connection that dies before a byte of the answer is tried once more
    on a fresh one, for the provider may have closed it in the moment we used it (RFC 9112 §9.3.1).

    The breaker hears of every attempt that began, once: when the observer has concluded it, or cancels it.
    """

    __slots__ = (
        "_concluded",
        "_connection",
        "_effort",
        "_is_probe",
        "_lingers_until",
        "_pending",
        "_request",
        "_sent_in_part",
        "_surroundings",
        "_upload",
        "answer",
        "backend",
        "connections",
        "key",
        "observer",
        "sent",
        "span",
        "started",
    )

    def __init__(
        self,
        surroundings: Surroundings,
        request: OutgoingRequest,
        answer: ProviderAnswer,
        observer: AttemptObserver,
        effort: Effort,
        upload: Upload | None = None,
    ) -> None:
        """Prepare it.

        :param answer: takes what the provider answers.
        :param effort: of the exchange that it is made for.
        """
        self._surroundings = surroundings
        self._request = request
        self.observer = observer
        self._effort = effort
        self._upload = upload
        self._pending: PendingConnection | None = None
        self._connection: UpstreamConnection | None = None
        self._concluded = False
        self._is_probe = False
        self._lingers_until: float | None = None
        """Clock time in seconds; None while somebody wants what it brings."""
        self.backend = request.head.backend
        self.key = request.key
        self.span = request.span
        """What it is in a trace; None where there is no tracing."""
        self.answer = answer
        self.started = 0.0
        """Clock time in seconds."""
        self.sent: float | None = None
        """Clock time at which the request was sent; None before."""
        self._sent_in_part = False
        """It has ended before the provider had all of the request."""
        self.connections = 0
        """How many connections the request was sent on."""

    def start(self, now: float) -> None:
        """Ask for a connection and send the request on it.

        :param now: clock time in seconds.
        """
        self.started = now
        breakers = self._surroundings.live.breakers
        if breakers.in_trouble:
            self._is_probe = breakers.begin(self.key, now)
        # A streamed body cannot be sent twice, so it is not risked on a kept connection that may be dying.
        self._acquire(fresh=self._upload is not None)

    def _acquire(self, *, fresh: bool) -> None:
        backend = self.backend
        pending = self._surroundings.pools.acquire(backend.destination, self, backend.timeouts, fresh=fresh)
        # None means that `connection_ready` has been called already, and may even have started anew.
        if pending is not None:
            self._pending = pending

    def conclude(self, outcome: Outcome, now: float, fault: str = "") -> None:
        """Tell the breaker how it ended; only the first time counts.

        :param fault: what was wrong, in words.
        """
        if not self._concluded:
            self._concluded = True
            breakers = self._surroundings.live.breakers
            breakers.report(self.backend, self.key, outcome, now, probe=self._is_probe, fault=fault)

    def succeed(self, now: float) -> None:
        """It has brought all that is wanted; only the end of the body may be missing.  The observer hears no more."""
        self.conclude(_SUCCESS, now)
        self.observer = _NOBODY
        if self._connection is not None:
            self._connection.resume()
            self._lingers_until = now + LAST_CHUNK_SECONDS
            self._surroundings.sweep.watch(self)

    def content_came(self) -> None:
        """The client is being shown its answer; a probe has proved by this what it was sent for."""
        if self._is_probe:
            self.conclude(Outcome.SUCCESS, self._surroundings.sweep.seconds())
        if self.span is not None and self.answer.watcher is not None:
            self.span.content_at = self._surroundings.sweep.seconds()

    def cancel(self) -> None:
        """End it, in whatever phase it is; the observer hears nothing more."""
        self.conclude(Outcome.ABANDONED, self._surroundings.sweep.seconds())
        self.observer = _NOBODY
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        connection = self._disconnected()
        if connection is not None:
            self._sent_in_part = not connection.request_sent
            connection.abort()

    def swept(self, now: float) -> None:
        """Look whether the end has been waited for long enough."""
        if self._lingers_until is not None and now >= self._lingers_until:
            self.cancel()

    @property
    def is_queued(self) -> bool:
        """No connection is even being made for it: there are as many as the provider may have."""
        return self._pending is not None and self._pending.attempt is None

    @property
    def sent_whole(self) -> bool:
        """The provider has had all of the request; told once it has ended."""
        return self.sent is not None and not self._sent_in_part

    @property
    def is_sending(self) -> bool:
        """The client has not sent all of the body that is streamed through."""
        return self._upload is not None and not self._upload.complete

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
        waited = self._pending is not None
        if waited:
            self.sent = self._surroundings.sweep.seconds()
            self._effort.begin(self.sent)
        else:
            self.sent = self.started
        self._pending = None
        self._connection = connection
        self.connections += 1
        timeouts = self.backend.timeouts
        connection.send(
            self._request.wire_bytes(),
            self,
            timeouts=timeouts,
            more=self._upload is not None,
        )
        if self._upload is not None and self._connection is connection:
            self._upload.connected(connection)
        if waited:
            self._effort.pause(self._surroundings.sweep.seconds())

    def connection_failed(self, error: GatewayError) -> None:
        self._pending = None
        self._sent_in_part = True
        self._tell_failed(error)

    # -- AnswerReceiver ----------------------------------------------------------------------------

    def answer_read(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        connection, effort = self._connection, self._effort
        assert connection is not None
        effort.since = connection.read_at
        if effort.chunks is not None:
            effort.chunks.read(connection.read_at)
        if ended:
            self._disconnected()
        self.answer.read(head, body, ended)
        self.observer.attempt_read(self)
        if effort.since is not None:
            effort.pause(self._surroundings.sweep.seconds())

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
            if connection is not None:
                self._sent_in_part = error.progress is Progress.NOT_SENT or not connection.request_sent
            self._tell_failed(error)

    def break_down(self) -> None:
        self._disconnected()
        self.observer.break_down()

    def upstream_full(self) -> None:
        if self._upload is not None:
            self._upload.full()

    def upstream_drained(self) -> None:
        if self._upload is not None:
            self._upload.drained()

    def _tell_failed(self, error: GatewayError) -> None:
        effort, seconds = self._effort, self._surroundings.sweep.seconds
        effort.begin(seconds())
        self.observer.attempt_failed(self, error)
        effort.pause(seconds())

    def _disconnected(self) -> UpstreamConnection | None:
        connection, self._connection = self._connection, None
        if self._upload is not None:
            self._upload.disconnected()
        if self._lingers_until is not None:
            self._surroundings.sweep.forget(self)
        return connection
