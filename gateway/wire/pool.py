"""The connections to one destination: kept while they are good, shared in turn, never more than its limits say.

Who asks for a connection gets an idle one at once, the one used last, because it is the least likely to have
been closed meanwhile.  Otherwise a new one is made, and the asker gets whichever comes first: its own new one
or one that another request sets free.  Where there are as many connections as there may be, askers queue; the
queue is bounded in number and in time, and who came first is served first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.errors import GatewayError
from gateway.messages import Destination, PoolLimits, Timeouts
from gateway.wire.counts import PoolCounts
from gateway.wire.limits import UPSTREAM_IDLE_CONNECTIONS
from gateway.wire.sweep import Sweep
from gateway.wire.upstream import UpstreamConnection

Connect: TypeAlias = Callable[[Destination, Timeouts], Deferred[UpstreamConnection]]
"""Makes a connection that can carry a request; fails with a GatewayError; can be cancelled."""


class ConnectionWaiter(Protocol):
    """Asks for one connection; hears exactly one of the two, unless it cancels."""

    def connection_ready(self, connection: UpstreamConnection) -> None:
        """It is yours until your answer has ended or failed: send a request, or abort it."""

    def connection_failed(self, error: GatewayError) -> None:
        """There will be none.  Nothing was sent."""

    def break_down(self) -> None:
        """One of these has raised, and the exception is at hand: release what was begun."""


class PendingConnection:
    """One asker that waits for its connection."""

    __slots__ = ("_pool", "attempt", "fresh", "since", "timeouts", "waiter")

    def __init__(
        self, pool: Pool, waiter: ConnectionWaiter, timeouts: Timeouts, since: float, *, fresh: bool
    ) -> None:
        self._pool = pool
        self.waiter = waiter
        self.timeouts = timeouts
        self.fresh = fresh
        """It must not have carried an answer before."""
        self.since = since
        """When it asked, in seconds of the sweep's clock."""
        self.attempt: Deferred[UpstreamConnection] | None = None
        """Its own new connection; None while it stands in the queue."""

    def cancel(self) -> None:
        """It is no longer wanted: its asker hears nothing, and what was begun for it is aborted."""
        self._pool.cancel(self)


class Pool:
    """The connections to one destination; the home of each while nobody uses it."""

    _log = Logger()

    def __init__(
        self,
        destination: Destination,
        connect: Connect,
        sweep: Sweep,
        limits: PoolLimits,
        counts: PoolCounts,
        *,
        retired: bool,
    ) -> None:
        self.destination = destination
        self.retired = retired
        """No configuration names it any more: nothing is kept."""
        self.open: set[UpstreamConnection] = set()
        """Idle or in use."""
        self.idle: dict[UpstreamConnection, float] = {}
        """Since when each is idle, in seconds of the sweep's clock; the one used last stands last."""
        self.pending: dict[PendingConnection, None] = {}
        """Who waits, in the order they came."""
        self.queue: dict[PendingConnection, None] = {}
        """Those of them for whom no connection is being made."""
        self._attempts: set[Deferred[UpstreamConnection]] = set()
        """Connections that are being made; one whose asker was served otherwise goes on."""
        self._connect = connect
        self.counts = counts
        self._limits = limits
        self._seconds = sweep.seconds

    def acquire(
        self, waiter: ConnectionWaiter, timeouts: Timeouts, *, fresh: bool
    ) -> PendingConnection | None:
        """See `Pools.acquire`."""
        if self.idle and not fresh:
            connection, _ = self.idle.popitem()
            self.counts.at_once += 1
            self._hand_over(connection, waiter)
            return None
        pending = PendingConnection(self, waiter, timeouts, self._seconds(), fresh=fresh)
        if not self._has_room() and self.idle:
            next(iter(self.idle)).close()  # of no use to an asker that wants a fresh one
        if self._has_room():
            self.pending[pending] = None
            self._begin(pending)
        elif len(self.queue) < self._limits.max_pending:
            self.pending[pending] = None
            self.queue[pending] = None
        else:
            waiter.connection_failed(_full(f"{len(self.queue)} others wait for {self.destination}."))
        return pending if pending in self.pending else None

    def cancel(self, pending: PendingConnection) -> None:
        """See `PendingConnection.cancel`."""
        if self._no_longer_waits(pending) and pending.attempt is not None:
            pending.attempt.cancel()

    def limit(self, limits: PoolLimits) -> None:
        """Keep to these limits from now on.

        Connections beyond them are closed when they are set free; who stands in the queue already stays there.
        """
        self._limits = limits
        while self.idle and self._has_surplus():
            next(iter(self.idle)).close()
        self._advance_queue()

    def retire(self) -> None:
        """Keep nothing: what is idle is closed now, what is in use when it comes back."""
        self.retired = True
        while self.idle:
            next(iter(self.idle)).close()

    def end(self, error: GatewayError) -> None:
        """Abort everything; whoever waits hears this error."""
        for pending in tuple(self.pending):
            self._disappoint(pending, error)
        for attempt in tuple(self._attempts):
            attempt.cancel()
        for connection in tuple(self.open):
            connection.abort()

    def swept(self, now: float) -> None:
        """Let go of what has been idle, or has queued, for long enough."""
        while self.idle:
            connection, since = next(iter(self.idle.items()))
            if now < since + self._limits.idle_timeout:
                break
            connection.close()
        seconds = self._limits.pending_timeout
        for pending in tuple(self.queue):
            if now < pending.since + seconds:
                break
            detail = f"No connection to {self.destination} became free within {seconds:g} s."
            self._disappoint(pending, _full(detail))

    @property
    def vacant(self) -> bool:
        """Nothing is in it."""
        return not (self.open or self.pending or self._attempts)

    # What connections say, as to any home.

    def connection_usable(self, connection: UpstreamConnection) -> None:
        if self._has_surplus():
            connection.close()
            return
        for pending in self.pending:
            if not pending.fresh or not connection.reused:
                self._no_longer_waits(pending)
                self._hand_over(connection, pending.waiter)
                return
            if pending.attempt is None:
                connection.close()  # it waits for room to make a fresh one, and came before those who take any
                return
        if self.retired:
            connection.close()
            return
        if len(self.idle) >= UPSTREAM_IDLE_CONNECTIONS:
            next(iter(self.idle)).close()
        self.idle[connection] = self._seconds()

    def connection_gone(self, connection: UpstreamConnection, reason: Failure | None) -> None:
        self.open.discard(connection)
        self.idle.pop(connection, None)
        self._advance_queue()

    # How connections are made.

    def _has_room(self) -> bool:
        return len(self.open) + len(self._attempts) < self._limits.max_connections

    def _has_surplus(self) -> bool:
        return len(self.open) + len(self._attempts) > self._limits.max_connections

    def _advance_queue(self) -> None:
        """Make connections for those who have waited longest, as many as there is room for."""
        while self.queue and self._has_room():
            pending = next(iter(self.queue))
            del self.queue[pending]
            self._begin(pending)

    def _begin(self, pending: PendingConnection) -> None:
        attempt = self._connect(self.destination, pending.timeouts)
        pending.attempt = attempt
        self._attempts.add(attempt)
        attempt.addCallbacks(
            self._made, self._failed, callbackArgs=(attempt, pending), errbackArgs=(attempt, pending)
        )
        attempt.addErrback(self._broke)

    def _made(
        self,
        connection: UpstreamConnection,
        attempt: Deferred[UpstreamConnection],
        pending: PendingConnection,
    ) -> None:
        self._attempts.discard(attempt)
        self.open.add(connection)
        self.counts.opened += 1
        connection.home = self
        if self._no_longer_waits(pending):
            self._hand_over(connection, pending.waiter)
        else:
            self.connection_usable(connection)

    def _failed(
        self, failure: Failure, attempt: Deferred[UpstreamConnection], pending: PendingConnection
    ) -> None:
        self._attempts.discard(attempt)
        self._advance_queue()
        error = failure.value
        if isinstance(error, CancelledError):
            return
        if not isinstance(error, GatewayError):
            self._broke(failure)
            error = GatewayError("internal_error", "The gateway could not connect to the provider.")
        self._disappoint(pending, error)

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a connection could not be made", failure=failure)

    def _hand_over(self, connection: UpstreamConnection, waiter: ConnectionWaiter) -> None:
        try:
            waiter.connection_ready(connection)
        except Exception:
            self._log.failure("a connection could not be handed over")
            connection.abort()  # nobody has it
            waiter.break_down()

    def _no_longer_waits(self, pending: PendingConnection) -> bool:
        """Take an asker off the list; tell whether it was still on it."""
        self.queue.pop(pending, None)
        if pending not in self.pending:
            return False
        del self.pending[pending]
        self.counts.waits.add(self._seconds() - pending.since)
        return True

    def _disappoint(self, pending: PendingConnection, error: GatewayError) -> None:
        if self._no_longer_waits(pending):
            pending.waiter.connection_failed(error)


def _full(detail: str) -> GatewayError:
    return GatewayError("provider_pool_full", "All connections to the provider are in use.", detail=detail)
