from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import succeed

from gateway.errors import Progress
from gateway.messages import PoolLimits, Timeouts
from gateway.wire import pool as pool_module
from gateway.wire.pools import Pools
from gateway.wire.upstream import UpstreamConnection
from tests.fakes.attempts import RecordingReceiver, RecordingWaiter
from tests.fakes.pools import ANSWER, PoolsTestCase
from tests.fakes.upstreams import PLAIN, Provider, RecordingHome

OTHER = evolve(PLAIN, address="other.example.com")
DEFAULTS = PoolLimits()


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
        self.assertTrue(self.ask(destination=evolve(PLAIN, provider="b")).waits)

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
        self.limit(PoolLimits(max_connections=2, max_pending=2))

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
        self.assertEqual(
            (refused.error.code, refused.error.progress), ("provider_pool_full", Progress.NOT_SENT)
        )
        self.assert_counts(pending=4)

    def test_the_queue_is_bounded_in_time(self) -> None:
        self.in_use()
        self.in_use()
        early = self.ask()
        self.clock.advance(1)
        late = self.ask()
        self.clock.advance(DEFAULTS.pending_timeout - 1)
        self.assertEqual((early.error.code, early.error.progress), ("provider_pool_full", Progress.NOT_SENT))
        self.assertTrue(late.waits)
        self.assert_counts(open=2, pending=1)

    def test_only_the_queue_is_bounded_in_time(self) -> None:
        waiter = self.ask()
        self.clock.advance(DEFAULTS.pending_timeout * 10)
        self.assertTrue(waiter.waits)

    def test_who_leaves_the_queue_hears_nothing_and_takes_no_place(self) -> None:
        provider, _ = self.in_use()
        self.in_use()
        waiter = RecordingWaiter()
        pending = self.pools.acquire(PLAIN, waiter, Timeouts())
        assert pending is not None
        pending.cancel()
        provider.answers(ANSWER)
        self.clock.advance(DEFAULTS.pending_timeout)
        self.assertTrue(waiter.waits)
        self.assert_counts(open=2, idle=1)
        provider.closes()
        self.assertEqual(len(self.attempts), 2)
        self.assertEqual(len(self.pool().queue), 0)

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

    def test_nobody_may_wait(self) -> None:
        self.limit(PoolLimits(max_connections=1, max_pending=0))
        provider, _ = self.in_use()
        self.assertEqual(self.ask().error.code, "provider_pool_full")
        provider.answers(ANSWER)
        self.assertIs(self.ask().connection, provider.connection)

    def test_who_waits_for_a_fresh_one_is_not_passed_by(self) -> None:
        provider, _ = self.in_use()
        self.in_use()
        fresh, any_one = self.ask(fresh=True), self.ask()
        provider.answers(ANSWER)
        self.assertEqual(provider.end, "closed")
        self.assertIs(self.attempts[2].succeeds().connection, fresh.connection)
        self.assertTrue(any_one.waits)

    def test_beyond_the_limit_of_idle_ones_the_oldest_is_closed(self) -> None:
        self.patch(pool_module, "UPSTREAM_IDLE_CONNECTIONS", 1)
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
        self.clock.advance(DEFAULTS.idle_timeout - 10)
        self.assertEqual((first.end, second.end), ("closed", ""))
        self.assert_counts(open=1, idle=1)

    def test_a_connection_in_use_is_not_idle(self) -> None:
        provider = self.idle()
        self.ask().connection.send(b"GET", RecordingReceiver(), timeouts=Timeouts())
        self.clock.advance(DEFAULTS.idle_timeout * 2)
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
