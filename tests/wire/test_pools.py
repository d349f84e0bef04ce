from __future__ import annotations

from attrs import evolve

from gateway.messages import PoolLimits
from tests.fakes.pools import ANSWER, PoolsTestCase
from tests.fakes.upstreams import PLAIN

OTHER = evolve(PLAIN, address="other.example.com")
DEFAULTS = PoolLimits()


class RetirementTests(PoolsTestCase):
    def test_what_no_configuration_names_is_closed_when_idle(self) -> None:
        provider = self.idle()
        self.pools.adopt({OTHER: DEFAULTS})
        self.assertEqual(provider.end, "closed")
        self.clock.advance(1)
        self.assertEqual(dict(self.pools.by_destination), {})

    def test_what_is_named_is_kept(self) -> None:
        provider = self.idle()
        self.pools.adopt({PLAIN: DEFAULTS})
        self.assertEqual(provider.end, "")
        self.assertIs(self.ask().connection, provider.connection)

    def test_what_is_in_use_runs_to_its_end_and_is_closed(self) -> None:
        provider, receiver = self.in_use()
        self.pools.adopt({})
        self.clock.advance(1)
        self.assertEqual(provider.end, "")
        provider.answers(ANSWER)
        self.assertEqual((receiver.outcome, provider.end), ("ended", "closed"))
        self.clock.advance(1)
        self.assertEqual(dict(self.pools.by_destination), {})

    def test_an_old_exchange_is_still_served_and_leaves_nothing_behind(self) -> None:
        self.pools.adopt({})
        provider, receiver = self.in_use()
        provider.answers(ANSWER)
        self.assertEqual((receiver.outcome, provider.end), ("ended", "closed"))

    def test_who_waits_is_served(self) -> None:
        waiter = self.ask()
        self.pools.adopt({})
        self.clock.advance(1)
        self.assertIs(self.attempts[0].succeeds().connection, waiter.connection)

    def test_what_is_named_again_is_kept_again(self) -> None:
        provider, _ = self.in_use()
        self.pools.adopt({})
        self.pools.adopt({PLAIN: DEFAULTS})
        provider.answers(ANSWER)
        self.assertEqual(provider.end, "")


class LimitTests(PoolsTestCase):
    """What a reload does to pools that run."""

    def test_limits_hold_for_pools_to_come(self) -> None:
        self.pools.adopt({PLAIN: PoolLimits(max_connections=1), OTHER: DEFAULTS})
        self.ask()
        self.ask()
        self.assertEqual(len(self.attempts), 1)
        self.ask(destination=OTHER)
        self.ask(destination=OTHER)
        self.assertEqual(len(self.attempts), 3)

    def test_with_more_connections_who_queues_is_served(self) -> None:
        self.limit(PoolLimits(max_connections=1))
        self.in_use()
        first, second, third = (self.ask() for _ in range(3))
        self.limit(PoolLimits(max_connections=3))
        self.assertIs(self.attempts[1].succeeds().connection, first.connection)
        self.assertIs(self.attempts[2].succeeds().connection, second.connection)
        self.assertEqual(len(self.attempts), 3)
        self.assertTrue(third.waits)

    def test_with_fewer_the_surplus_is_closed_as_it_is_set_free(self) -> None:
        connections = [self.in_use() for _ in range(4)]
        waiter = self.ask(fresh=True)
        made = self.attempts[-1].succeeds()
        self.limit(PoolLimits(max_connections=2))
        self.assertIs(waiter.connection, made.connection)
        self.assertEqual([provider.end for provider, _ in connections], [""] * 4)
        for provider, receiver in connections:
            provider.answers(ANSWER)
            self.assertEqual(receiver.outcome, "ended")
        self.assertEqual([provider.end for provider, _ in connections], ["closed"] * 3 + [""])
        self.assert_counts(open=2, idle=1)

    def test_with_fewer_who_queues_waits_until_the_surplus_is_gone(self) -> None:
        self.limit(PoolLimits(max_connections=2))
        (first, _), (second, _) = self.in_use(), self.in_use()
        waiter = self.ask()
        self.limit(PoolLimits(max_connections=1))
        first.answers(ANSWER)
        self.assertEqual(first.end, "closed")
        self.assertTrue(waiter.waits)
        second.answers(ANSWER)
        self.assertIs(waiter.connection, second.connection)

    def test_with_fewer_the_oldest_idle_ones_are_closed_at_once(self) -> None:
        connections = [self.in_use()[0] for _ in range(3)]
        for provider in connections:
            provider.answers(ANSWER)
        self.limit(PoolLimits(max_connections=1))
        self.assertEqual([provider.end for provider in connections], ["closed", "closed", ""])
        self.assert_counts(open=1, idle=1)

    def test_who_queues_stays_in_a_shorter_queue(self) -> None:
        self.limit(PoolLimits(max_connections=1))
        provider, _ = self.in_use()
        early, late = self.ask(), self.ask()
        self.limit(PoolLimits(max_connections=1, max_pending=1))
        self.assertEqual(self.ask().error.code, "provider_pool_full")
        self.assertTrue(late.waits)
        provider.answers(ANSWER)
        self.assertIs(early.connection, provider.connection)

    def test_times_hold_for_who_waits_and_what_is_idle_already(self) -> None:
        self.limit(PoolLimits(max_connections=2))
        idle, (busy, _) = self.in_use()[0], self.in_use()
        idle.answers(ANSWER)
        self.clock.advance(2)
        self.limit(PoolLimits(max_connections=2, idle_timeout=1.0))
        self.clock.advance(0.25)
        self.assertEqual((idle.end, busy.end), ("closed", ""))
        self.limit(PoolLimits(max_connections=1))
        waiter = self.ask()
        self.clock.advance(1)
        self.limit(PoolLimits(max_connections=1, pending_timeout=1.0))
        self.clock.advance(0.25)
        self.assertEqual(waiter.error.code, "provider_pool_full")


class CountTests(PoolsTestCase):
    def test_connections_are_counted_by_owner_provider_and_state(self) -> None:
        self.assertEqual(self.pools.counts(), {})
        self.in_use()
        self.idle()
        self.ask(fresh=True)
        self.ask(destination=OTHER, fresh=True)  # the same provider at another address
        self.ask(destination=evolve(PLAIN, provider="b"))
        self.assertEqual(
            self.pools.counts(),
            {
                ("acme", "a", "idle"): 1,
                ("acme", "a", "active"): 1,
                ("acme", "a", "pending"): 2,
                ("acme", "b", "idle"): 0,
                ("acme", "b", "active"): 0,
                ("acme", "b", "pending"): 1,
            },
        )


class CloseTests(PoolsTestCase):
    def test_everything_ends_at_once(self) -> None:
        self.limit(PoolLimits(max_connections=3))
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
