"""The page and its updates, without a browser."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar
from weakref import ref

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.page import live_page
from gateway.serving.page.inventory import Inventory, inventory_of
from gateway.serving.page.live_page import LivePage
from gateway.serving.page.overview import Overview, Seen, overview
from gateway.serving.page.sampler import UNWATCHED_SECONDS, WATCHED_SECONDS
from gateway.serving.page.work import REST, Work
from gateway.serving.status import Status
from gateway.snapshot.generations import Generation
from gateway.snapshot.snapshot import Snapshot
from gateway.telemetry.exchange_record import NO_NAMES, ExchangeRecord
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.outcomes import Outcome
from gateway.telemetry.recent_failures import RecentFailures
from gateway.telemetry.series import NO_ROUTE
from gateway.telemetry.sources import Sources
from tests.fakes.conf import adopt_conf, provider, route_to
from tests.serving.page.test_viewers import Request

T = TypeVar("T")


def in_thread(function: Callable[[], T]) -> Deferred[T]:
    """At once."""
    result: Deferred[T] = execute(function)
    return result


class LivePageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.status = Status()
        self.failures = RecentFailures(lambda: 1.0)
        self.metrics = Metrics(CollectorRegistry())
        self.page = LivePage(
            self.clock,
            self.metrics,
            Sources(),
            self.status,
            self.failures,
            Work(self.clock, in_thread, lambda: self.worked),
            lambda: 1_795_000_000.0 + self.clock.seconds(),
        )
        self.made = 0
        self.takes = self.worked = 0.0
        self.is_broken = False
        self.patch(live_page, "overview", self.overview)
        self.page.start()

    def overview(self, seen: Seen) -> Overview:
        self.made += 1
        self.worked += self.takes
        if self.is_broken:
            raise ValueError("no page today")
        return overview(seen)

    def adopt(self, conf: str) -> Generation:
        generation = adopt_conf(conf)
        self.status.adopted(generation, self.clock.seconds())
        self.page.adopted()
        return generation

    def count(self, number: int) -> None:
        for _ in range(number):
            self.metrics.series(NO_ROUTE, "").finished(200, Outcome.OK, 0.1, None)

    def follow(self) -> Request:
        request = Request()
        self.page.follow(request, lambda: True)  # type: ignore[arg-type]
        return request

    def document(self) -> str:
        return self.successResultOf(self.page.document(can_sign_out=False)).decode()

    def test_the_page_before_there_is_a_configuration(self) -> None:
        self.assertIn("not serving", self.document())

    def test_the_page_shows_what_runs(self) -> None:
        self.adopt(provider("first") + route_to("first"))
        shown = self.document()
        self.assertIn("first.example", shown)
        self.assertIn('<option value="demo"></option><option value="first.example">', shown)
        self.adopt(provider("other"))
        self.assertIn("other.example", self.document())
        self.assertNotIn("first.example", self.document())

    def test_who_comes_sees_what_has_just_been(self) -> None:
        self.adopt(provider("first") + route_to("first"))
        self.clock.pump([1.0] * 15)
        self.count(30)
        self.assertIn("30 in all", self.document())

    def test_nothing_is_made_while_nobody_looks(self) -> None:
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.made, 0)

    def test_who_looks_on_gets_everything_and_then_what_changes(self) -> None:
        self.count(100)
        self.clock.pump([1.0] * int(UNWATCHED_SECONDS))
        viewer = self.follow()
        self.clock.advance(0)
        (whole, parts), (history, points) = viewer.heard()
        self.assertEqual((whole, history), ("sections", "history"))
        self.assertIn("tenants", parts)
        self.assertEqual([point["ok"] for point in points], [10.0])
        self.failures.remember(
            NO_NAMES, ExchangeRecord(request_id="abc", outcome="provider_failed", code=502)
        )
        self.count(20)
        self.clock.advance(WATCHED_SECONDS)
        (_, parts), (_, [point]) = viewer.heard()
        self.assertIn("provider_failed", parts["failures"])
        self.assertNotIn("problems", parts)
        self.assertGreater(point["ok"], 0)

    def test_nothing_is_made_any_more_when_all_have_gone(self) -> None:
        viewer = self.follow()
        self.clock.advance(0)
        viewer.finishing.callback(None)
        made = self.made
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.made, made)

    def test_the_end(self) -> None:
        viewer = self.follow()
        self.page.stop()
        self.assertTrue(viewer.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_page_that_cannot_be_made_is_logged_and_tried_again(self) -> None:
        self.is_broken = True
        viewer = self.follow()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.failureResultOf(self.page.document(can_sign_out=False), ValueError)
        self.flushLoggedErrors(ValueError)
        self.is_broken = False
        self.clock.advance(WATCHED_SECONDS)
        self.assertEqual(len(viewer.heard()), 2)

    def test_who_comes_later_has_it_all_at_once(self) -> None:
        self.follow()
        self.clock.advance(0)
        made = self.made
        events = self.follow().heard()
        self.assertEqual([name for name, _ in events], ["sections", "history"])
        self.assertEqual(self.made, made)

    def test_the_page_is_made_once_for_all_who_ask_in_a_while(self) -> None:
        for _ in range(3):
            self.document()
        self.follow()
        self.assertEqual(self.made, 1)
        self.clock.advance(WATCHED_SECONDS)
        self.document()
        self.assertEqual(self.made, 2)

    def test_who_asks_while_it_is_made_waits_for_the_same(self) -> None:
        begun: list[Callable[[], None]] = []

        def later(function: Callable[[], T]) -> Deferred[T]:
            done: Deferred[T] = Deferred()
            begun.append(lambda: done.callback(function()))
            return done

        self.patch(self.page._work, "_in_thread", later)
        asked = [self.page.document(can_sign_out=False) for _ in range(3)]
        self.assertEqual(len(begun), 1)
        begun[0]()  # a reading
        self.assertEqual(len(begun), 2)
        begun[1]()
        self.assertEqual({len(self.successResultOf(each)) > 1000 for each in asked}, {True})

    def test_making_it_is_followed_by_a_rest_as_reading_is(self) -> None:
        self.follow()
        self.takes = 0.5
        self.clock.advance(0)
        made = self.made
        self.clock.pump([1.0] * int(0.5 * REST - 1))
        self.assertEqual(self.made, made)
        self.clock.pump([1.0] * 2)
        self.assertEqual(self.made, made + 1)

    def test_what_a_snapshot_has_is_found_out_once_and_forgotten_when_nobody_looks(self) -> None:
        asked: list[Snapshot] = []

        def counted(snapshot: Snapshot) -> Inventory:
            asked.append(snapshot)
            return inventory_of(snapshot)

        self.patch(live_page, "inventory_of", counted)
        self.adopt(provider("first"))
        viewer = self.follow()
        self.clock.pump([1.0] * 60)
        self.assertEqual(len(asked), 1)
        viewer.finishing.callback(None)
        self.clock.pump([1.0] * 60)
        self.document()
        self.assertEqual(len(asked), 2)

    def test_nothing_is_kept_of_a_snapshot_that_runs_no_longer(self) -> None:
        old = ref(self.adopt(provider("first") + route_to("first")).snapshot)
        self.document()
        self.assertIsNotNone(old())
        self.adopt(provider("other"))
        gc.collect()
        self.assertIsNone(old())
