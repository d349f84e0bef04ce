"""Pools whose connections are made when a test says so."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError
from gateway.messages import Destination, PoolLimits, Timeouts
from gateway.wire.pool import Pool
from gateway.wire.pools import Pools
from gateway.wire.sweep import Sweep
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver, RecordingWaiter
from tests.fakes.upstreams import PLAIN, Provider

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Attempt:
    """One connection that was asked for."""

    def __init__(self, sweep: Sweep, destination: Destination, timeouts: Timeouts) -> None:
        self._sweep = sweep
        self.destination = destination
        self.timeouts = timeouts
        self.cancelled = False
        self.result: Deferred[UpstreamConnection] = Deferred(self._cancel)
        self.provider: Provider | None = None

    def _cancel(self, result: Deferred[UpstreamConnection]) -> None:
        self.cancelled = True

    def succeeds(self) -> Provider:
        self.provider = Provider(self._sweep, self.destination)
        self.result.callback(self.provider.connection)
        return self.provider

    def fails(self, code: str = "provider_connect_failed") -> None:
        self.result.errback(GatewayError(code, "No."))


class PoolsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sweep = Sweep(self.clock, self.clock.seconds)
        self.sweep.start()
        self.attempts: list[Attempt] = []
        self.pools = Pools(self.connect, self.sweep)

    def connect(self, destination: Destination, timeouts: Timeouts) -> Deferred[UpstreamConnection]:
        attempt = Attempt(self.sweep, destination, timeouts)
        self.attempts.append(attempt)
        return attempt.result

    def limit(self, limits: PoolLimits) -> None:
        self.pools.adopt({PLAIN: limits})

    def pool(self, destination: Destination = PLAIN) -> Pool:
        return self.pools.by_destination[destination]

    def assert_counts(self, open: int = 0, idle: int = 0, pending: int = 0) -> None:  # noqa: A002
        pool = self.pool()
        self.assertEqual((len(pool.open), len(pool.idle), len(pool.pending)), (open, idle, pending))

    def ask(self, *, fresh: bool = False, destination: Destination = PLAIN) -> RecordingWaiter:
        waiter = RecordingWaiter()
        self.pools.acquire(destination, waiter, Timeouts(), fresh=fresh)
        return waiter

    def in_use(self) -> tuple[Provider, RecordingReceiver]:
        """A new connection that carries a request."""
        waiter = self.ask(fresh=True)
        provider = self.attempts[-1].succeeds()
        receiver = RecordingReceiver()
        waiter.connection.send(b"GET", receiver, timeouts=Timeouts())
        return provider, receiver

    def idle(self) -> Provider:
        """A connection that has carried an answer and is idle."""
        provider, _ = self.in_use()
        provider.answers(ANSWER)
        return provider
