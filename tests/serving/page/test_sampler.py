"""Readings now and then, at a bounded cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.page.reading import Reading
from gateway.serving.page.sampler import UNWATCHED_SECONDS, WATCHED_SECONDS, Sampler
from gateway.serving.page.work import REST, Work
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.sources import Sources

T = TypeVar("T")


class SamplerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.takes = self.waits = self.worked = 0.0
        self.following: Deferred[None] | None = None
        self.readings: list[Reading] = []
        metrics, sources = Metrics(CollectorRegistry()), Sources(lines_dropped=self.lines_dropped)
        self.is_broken = False
        self.sampler = Sampler(
            self.clock,
            metrics,
            sources,
            Work(self.clock, self.in_thread, lambda: self.worked),
            lambda: 5.0,
            self.taken,
        )
        self.sampler.start()

    def lines_dropped(self) -> int:
        self.worked += self.takes
        if self.is_broken:
            raise ValueError("no reading today")
        return 0

    def taken(self, reading: Reading) -> Deferred[None] | None:
        self.readings.append(reading)
        return self.following

    def in_thread(self, function: Callable[[], T]) -> Deferred[T]:
        """At once, but it may have to wait for a core."""
        self.clock.rightNow += self.waits
        result: Deferred[T] = execute(function)
        return result

    def times(self, seconds: float) -> list[float]:
        """When readings are taken in this time."""
        self.readings.clear()
        began = self.clock.seconds()
        self.clock.pump([0.5] * int(seconds * 2))
        return [reading.at - began for reading in self.readings]

    def test_the_first_one_is_taken_at_once(self) -> None:
        self.assertEqual([(each.at, each.time) for each in self.readings], [(0.0, 5.0)])

    def test_seldom_while_nobody_looks(self) -> None:
        self.assertEqual(self.times(30), [UNWATCHED_SECONDS, 2 * UNWATCHED_SECONDS, 3 * UNWATCHED_SECONDS])

    def test_often_while_somebody_looks(self) -> None:
        self.times(3)
        self.sampler.watched(True)
        self.assertEqual(self.times(4), [0.5, 0.5 + WATCHED_SECONDS])
        self.sampler.watched(False)
        self.times(UNWATCHED_SECONDS)
        self.assertEqual(len(self.times(UNWATCHED_SECONDS)), 1)

    def test_what_takes_long_is_done_seldom(self) -> None:
        self.sampler.watched(True)
        self.takes = 1.0
        self.times(3)
        self.assertEqual(self.times(REST - 5), [])
        self.assertEqual(len(self.times(10)), 1)

    def test_what_waits_for_a_core_costs_nothing(self) -> None:
        self.sampler.watched(True)
        self.waits = 0.5
        self.times(3)
        self.assertGreater(len(self.times(REST)), REST / WATCHED_SECONDS / 2)

    def test_the_next_one_waits_for_what_is_made_of_the_last(self) -> None:
        self.sampler.watched(True)
        following = self.following = Deferred()
        self.times(3)
        self.assertEqual(self.times(10), [])
        following.callback(None)
        self.assertEqual(len(self.times(WATCHED_SECONDS)), 1)

    def test_a_reading_that_fails_is_not_the_last(self) -> None:
        self.is_broken = True
        self.assertEqual(self.times(UNWATCHED_SECONDS), [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.is_broken = False
        self.assertEqual(len(self.times(UNWATCHED_SECONDS)), 1)

    def test_none_after_the_end(self) -> None:
        self.sampler.stop()
        self.assertEqual(self.times(60), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
