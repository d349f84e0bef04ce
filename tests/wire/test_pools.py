from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.errors import GatewayError, Progress
from gateway.messages import Destination, Timeouts
from gateway.wire import pools as pools_module
from gateway.wire.limits import UPSTREAM_IDLE_SECONDS, UPSTREAM_PENDING_SECONDS
from gateway.wire.pools import Pool, Pools
from gateway.wire.sweep import Sweep
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver, RecordingWaiter
from tests.fakes.upstreams import PLAIN, Provider, RecordingHome

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OTHER = evolve(PLAIN, address="other.example.com")


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

    def limit(self, name: str, value: int) -> None:
        self.patch(pools_module, name, value)

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


class ReuseTests(PoolsTestCase):
    def test_the_first_asker_gets_a_new_connection(self) -> None:
        waiter = RecordingWaiter()
        timeouts = Timeouts(connect=1.0)
        self.assertIsNotNone(self.pools.acquire(PLAIN, waiter, timeouts))
        self.assertTrue(waiter.waits)
        self.assertIs(self.attempts[0].timeouts, timeouts)
        provider = self.attempts[0].succeeds()
        self.assertIs(waiter.connection, provider.connection)
        self.assert_counts(open=1)

    def test_an_idle_connection_is_handed_out_at_once(self) -> None:
        provider = self.idle()
        waiter = RecordingWaiter()
        self.assertIsNone(self.pools.acquire(PLAIN, waiter, Timeouts()))
        self.assertIs(waiter.connection, provider.connection)
        self.assertEqual(len(self.attempts), 1)
        self.assert_counts(open=1)

    def test_a_connection_that_is_made_at_once_is_handed_out_at_once(self) -> None:
        connection = UpstreamConnection(PLAIN, self.sweep, RecordingHome())
        provider = Provider(self.sweep, connection=connection)
        pools = Pools(lambda destination, timeouts: succeed(connection), self.sweep)
        waiter = RecordingWaiter()
        self.assertIsNone(pools.acquire(PLAIN, waiter, Timeouts()))
        self.assertIs(waiter.connection, provider.connection)

    def test_the_one_used_last_is_used_first(self) -> None:
        (first, _), (second, _) = self.in_use(), self.in_use()
        second.answers(ANSWER)
        first.answers(ANSWER)
        self.assertIs(self.ask().connection, first.connection)
        self.assertIs(self.ask().connection, second.connection)

    def test_destinations_share_nothing(self) -> None:
        self.idle()
        self.assertTrue(self.ask(destination=OTHER).waits)
        self.assertTrue(self.ask(destination=evolve(PLAIN, owner="umbrella")).waits)

    def test_fresh_is_never_an_idle_one(self) -> None:
        self.idle()
        waiter = self.ask(fresh=True)
        self.assertTrue(waiter.waits)
        provider = self.attempts[-1].succeeds()
        self.assertIs(waiter.connection, provider.connection)
        self.assert_counts(open=2, idle=1)

    def test_fresh_is_never_one_that_was_set_free(self) -> None:
        provider, _ = self.in_use()
        fresh, any_one = self.ask(fresh=True), self.ask()
        provider.answers(ANSWER)
        self.assertTrue(fresh.waits)
        self.assertIs(any_one.connection, provider.connection)

    def test_a_failed_connection_is_told_to_its_asker_alone(self) -> None:
        first, second = self.ask(), self.ask()
        self.attempts[0].fails()
        self.assertEqual(
            (first.error.code, first.error.progress), ("provider_connect_failed", Progress.NOT_SENT)
        )
        self.assertTrue(second.waits)
        self.assert_counts(pending=1)

    def test_a_fault_of_our_own_is_told_and_logged(self) -> None:
        waiter = self.ask()
        self.attempts[0].result.errback(ZeroDivisionError())
        self.assertEqual(waiter.error.code, "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_connection_that_an_asker_fails_to_take_is_aborted(self) -> None:
        def fall(connection: UpstreamConnection) -> None:
            raise ZeroDivisionError

        def assert_told(waiter: RecordingWaiter, provider: Provider) -> None:
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertTrue(waiter.broken_down)
            self.assertEqual(provider.end, "aborted")
            self.assert_counts()

        waiter = RecordingWaiter(fall)
        self.pools.acquire(PLAIN, waiter, Timeouts())
        assert_told(waiter, self.attempts[0].succeeds())

        waiter, provider = RecordingWaiter(fall), self.idle()
        self.pools.acquire(PLAIN, waiter, Timeouts())
        assert_told(waiter, provider)


class WaitingTests(PoolsTestCase):
    def test_a_connection_set_free_comes_before_ones_own(self) -> None:
        provider, receiver = self.in_use()
        waiter = self.ask()
        provider.answers(ANSWER)
        self.assertEqual(receiver.outcome, "ended")
        self.assertIs(waiter.connection, provider.connection)

    def test_ones_own_that_is_no_longer_needed_goes_idle(self) -> None:
        provider, _ = self.in_use()
        self.ask()
        provider.answers(ANSWER)
        surplus = self.attempts[1].succeeds()
        self.assert_counts(open=2, idle=1)
        self.assertIs(self.ask().connection, surplus.connection)

    def test_ones_own_that_is_no_longer_needed_serves_who_waits(self) -> None:
        provider, _ = self.in_use()
        self.ask()
        provider.answers(ANSWER)
        second = self.ask(fresh=True)
        surplus = self.attempts[1].succeeds()
        self.assertIs(second.connection, surplus.connection)

    def test_ones_own_that_is_no_longer_needed_may_fail(self) -> None:
        provider, _ = self.in_use()
        waiter = self.ask()
        provider.answers(ANSWER)
        self.attempts[1].fails()
        self.assertEqual(waiter.errors, [])
        self.assert_counts(open=1)

    def test_who_came_first_is_served_first(self) -> None:
        provider, _ = self.in_use()
        first, second = self.ask(), self.ask()
        provider.answers(ANSWER)
        self.assertIs(first.connection, provider.connection)
        self.assertTrue(second.waits)

    def test_cancelling_aborts_what_was_begun(self) -> None:
        waiter = RecordingWaiter()
        pending = self.pools.acquire(PLAIN, waiter, Timeouts())
        assert pending is not None
        pending.cancel()
        self.assertTrue(self.attempts[0].cancelled)
        self.assertTrue(waiter.waits)
        self.assert_counts()

    def test_cancelling_too_late_changes_nothing(self) -> None:
        waiter = RecordingWaiter()
        pending = self.pools.acquire(PLAIN, waiter, Timeouts())
        assert pending is not None
        provider = self.attempts[0].succeeds()
        pending.cancel()
        self.assertEqual(provider.end, "")
        self.assert_counts(open=1)


class LimitTests(PoolsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.limit("UPSTREAM_CONNECTIONS", 2)
        self.limit("UPSTREAM_PENDING", 2)
        self.limit("UPSTREAM_IDLE_CONNECTIONS", 1)

    def test_beyond_the_limit_askers_queue_for_what_is_set_free(self) -> None:
        (first, _), (second, _) = self.in_use(), self.in_use()
        queueing = [self.ask(), self.ask()]
        self.assertEqual(len(self.attempts), 2)
        self.assert_counts(open=2, pending=2)
        second.answers(ANSWER)
        first.answers(ANSWER)
        self.assertIs(queueing[0].connection, second.connection)
        self.assertIs(queueing[1].connection, first.connection)

    def test_connections_that_are_being_made_count(self) -> None:
        for _ in range(3):
            self.ask()
        self.assertEqual(len(self.attempts), 2)

    def test_a_lost_connection_makes_room_for_who_queues(self) -> None:
        provider, _ = self.in_use()
        self.in_use()
        waiter = self.ask()
        provider.resets()
        self.assertIs(self.attempts[2].succeeds().connection, waiter.connection)

    def test_a_failed_connection_makes_room_for_who_queues(self) -> None:
        self.ask()
        self.ask()
        waiter = self.ask()
        self.attempts[0].fails()
        self.assertIs(self.attempts[2].succeeds().connection, waiter.connection)

    def test_a_cancelled_connection_makes_room_for_who_queues(self) -> None:
        pending = self.pools.acquire(PLAIN, RecordingWaiter(), Timeouts())
        self.ask()
        waiter = self.ask()
        assert pending is not None
        pending.cancel()
        self.assertIs(self.attempts[2].succeeds().connection, waiter.connection)

    def test_the_queue_is_bounded_in_number(self) -> None:
        for _ in range(4):
            self.assertTrue(self.ask().waits)
        refused = RecordingWaiter()
        self.assertIsNone(self.pools.acquire(PLAIN, refused, Timeouts()))
        self.assertEqual((refused.error.code, refused.error.progress), ("overloaded", Progress.NOT_SENT))
        self.assert_counts(pending=4)

    def test_the_queue_is_bounded_in_time(self) -> None:
        self.in_use()
        self.in_use()
        early = self.ask()
        self.clock.advance(1)
        late = self.ask()
        self.clock.advance(UPSTREAM_PENDING_SECONDS - 1)
        self.assertEqual((early.error.code, early.error.progress), ("overloaded", Progress.NOT_SENT))
        self.assertTrue(late.waits)
        self.assert_counts(open=2, pending=1)

    def test_only_the_queue_is_bounded_in_time(self) -> None:
        waiter = self.ask()
        self.clock.advance(UPSTREAM_PENDING_SECONDS * 10)
        self.assertTrue(waiter.waits)

    def test_who_leaves_the_queue_hears_nothing_and_takes_no_place(self) -> None:
        provider, _ = self.in_use()
        self.in_use()
        waiter = RecordingWaiter()
        pending = self.pools.acquire(PLAIN, waiter, Timeouts())
        assert pending is not None
        pending.cancel()
        provider.answers(ANSWER)
        self.clock.advance(UPSTREAM_PENDING_SECONDS)
        self.assertTrue(waiter.waits)
        self.assert_counts(open=2, idle=1)

    def test_an_idle_connection_makes_room_for_a_fresh_one(self) -> None:
        self.in_use()
        idle = self.idle()
        waiter = self.ask(fresh=True)
        self.assertEqual(idle.end, "closed")
        self.assertIs(self.attempts[2].succeeds().connection, waiter.connection)

    def test_a_connection_set_free_makes_room_for_a_fresh_one_that_queues(self) -> None:
        provider, _ = self.in_use()
        self.in_use()
        waiter = self.ask(fresh=True)
        provider.answers(ANSWER)
        self.assertEqual(provider.end, "closed")
        self.assertIs(self.attempts[2].succeeds().connection, waiter.connection)

    def test_beyond_the_limit_of_idle_ones_the_oldest_is_closed(self) -> None:
        (first, _), (second, _) = self.in_use(), self.in_use()
        first.answers(ANSWER)
        second.answers(ANSWER)
        self.assertEqual((first.end, second.end), ("closed", ""))
        self.assert_counts(open=1, idle=1)


class IdleTests(PoolsTestCase):
    def test_idle_connections_are_closed_in_time(self) -> None:
        (first, _), (second, _) = self.in_use(), self.in_use()
        first.answers(ANSWER)
        self.clock.advance(10)
        second.answers(ANSWER)
        self.clock.advance(UPSTREAM_IDLE_SECONDS - 10)
        self.assertEqual((first.end, second.end), ("closed", ""))
        self.assert_counts(open=1, idle=1)

    def test_a_connection_in_use_is_not_idle(self) -> None:
        provider = self.idle()
        self.ask().connection.send(b"GET", RecordingReceiver(), timeouts=Timeouts())
        self.clock.advance(UPSTREAM_IDLE_SECONDS * 2)
        self.assertEqual(provider.end, "")

    def test_a_provider_that_closes_an_idle_connection_is_not_asked_over_it(self) -> None:
        provider = self.idle()
        provider.closes()
        self.assert_counts()
        self.assertTrue(self.ask().waits)

    def test_bytes_on_an_idle_connection_end_it(self) -> None:
        provider = self.idle()
        provider.answers(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertEqual(provider.end, "aborted")
        self.assert_counts()
        self.assertTrue(self.ask().waits)


class RetirementTests(PoolsTestCase):
    def test_what_no_configuration_names_is_closed_when_idle(self) -> None:
        provider = self.idle()
        self.pools.retire(frozenset({OTHER}))
        self.assertEqual(provider.end, "closed")
        self.clock.advance(1)
        self.assertEqual(dict(self.pools.by_destination), {})

    def test_what_is_named_is_kept(self) -> None:
        provider = self.idle()
        self.pools.retire(frozenset({PLAIN}))
        self.assertEqual(provider.end, "")
        self.assertIs(self.ask().connection, provider.connection)

    def test_what_is_in_use_runs_to_its_end_and_is_closed(self) -> None:
        provider, receiver = self.in_use()
        self.pools.retire(frozenset())
        self.clock.advance(1)
        self.assertEqual(provider.end, "")
        provider.answers(ANSWER)
        self.assertEqual((receiver.outcome, provider.end), ("ended", "closed"))
        self.clock.advance(1)
        self.assertEqual(dict(self.pools.by_destination), {})

    def test_an_old_exchange_is_still_served_and_leaves_nothing_behind(self) -> None:
        self.pools.retire(frozenset())
        provider, receiver = self.in_use()
        provider.answers(ANSWER)
        self.assertEqual((receiver.outcome, provider.end), ("ended", "closed"))

    def test_who_waits_is_served(self) -> None:
        waiter = self.ask()
        self.pools.retire(frozenset())
        self.clock.advance(1)
        self.assertIs(self.attempts[0].succeeds().connection, waiter.connection)

    def test_what_is_named_again_is_kept_again(self) -> None:
        provider, _ = self.in_use()
        self.pools.retire(frozenset())
        self.pools.retire(frozenset({PLAIN}))
        provider.answers(ANSWER)
        self.assertEqual(provider.end, "")


class CloseTests(PoolsTestCase):
    def test_everything_ends_at_once(self) -> None:
        self.limit("UPSTREAM_CONNECTIONS", 3)
        idle = self.idle()
        busy, receiver = self.in_use()
        waiting, queueing = self.ask(fresh=True), self.ask(fresh=True)
        self.pools.close()
        self.assertEqual(busy.end, "aborted")
        self.assertNotEqual(idle.end, "")
        self.assertEqual(receiver.events, [])
        self.assertEqual([waiting.error.code, queueing.error.code], ["draining", "draining"])
        self.assertTrue(all(attempt.cancelled for attempt in self.attempts[2:]))
        self.assertEqual(self.ask().error.code, "draining")
        self.assert_counts()
