"""One timer for all deadlines."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.wire.limits import SWEEP_SECONDS
from gateway.wire.sweep import NEVER, Sweep


class Member:
    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.seen: list[float] = []
        self._then = then

    def swept(self, now: float) -> None:
        self.seen.append(now)
        self._then()


def fail() -> None:
    raise ZeroDivisionError


class SweepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.sweep = Sweep(self.clock, lambda: self.clock.seconds() + 1000)

    def test_members_are_asked_with_the_sweeps_own_clock(self) -> None:
        member = Member()
        self.sweep.watch(member)
        self.clock.advance(1)
        self.assertEqual(member.seen, [], "not before it is started")
        self.sweep.start()
        self.clock.advance(SWEEP_SECONDS)
        self.clock.advance(SWEEP_SECONDS)
        self.assertEqual(member.seen, [1001 + SWEEP_SECONDS, 1001 + 2 * SWEEP_SECONDS])
        self.sweep.forget(member)
        self.sweep.forget(member)
        self.clock.advance(SWEEP_SECONDS)
        self.assertEqual(len(member.seen), 2)

    def test_it_tells_how_late_it_was(self) -> None:
        self.sweep.start()
        self.clock.advance(SWEEP_SECONDS)
        self.clock.advance(SWEEP_SECONDS + 0.75)
        _, numbers, seconds = self.sweep.lag.buckets()
        self.assertEqual((numbers[0], numbers[-1], seconds), (1, 2, 0.75))

    def test_one_members_fault_ends_nobody_elses_deadlines(self) -> None:
        members = [Member(fail), Member(), Member(fail)]
        for member in members:
            self.sweep.watch(member)
        self.sweep.start()
        self.clock.pump([SWEEP_SECONDS] * 2)
        self.assertEqual([len(member.seen) for member in members], [2, 2, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)

    def test_who_was_forgotten_in_the_same_sweep_is_not_asked(self) -> None:
        members: list[Member] = []

        def forget_others() -> None:
            for member in members:
                self.sweep.forget(member)

        members.extend([Member(forget_others), Member(forget_others)])
        for member in members:
            self.sweep.watch(member)
        self.sweep.start()
        self.clock.advance(SWEEP_SECONDS)
        self.assertEqual(sum(len(member.seen) for member in members), 1)

    def test_stop(self) -> None:
        self.sweep.stop()
        self.sweep.start()
        self.sweep.stop()
        self.sweep.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_sweep_may_stop_itself(self) -> None:
        self.sweep.watch(Member(self.sweep.stop))
        self.sweep.start()
        self.clock.advance(SWEEP_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_soon_is_the_next_turn(self) -> None:
        calls: list[int] = []
        self.sweep.soon(lambda: calls.append(1))
        self.assertEqual(calls, [])
        self.clock.advance(0)
        self.assertEqual(calls, [1])

    def test_never_is_later_than_any_time(self) -> None:
        self.assertGreater(NEVER, 1e18)
