"""The page and its updates, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.serving.page import live_page
from gateway.serving.page.live_page import LivePage
from gateway.serving.page.overview import Overview
from gateway.serving.page.sampler import UNWATCHED_SECONDS, WATCHED_SECONDS
from gateway.serving.page.sections import Sections, sections
from gateway.serving.status import Status
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
            in_thread,
            lambda: 1_795_000_000.0 + self.clock.seconds(),
        )
        self.made = 0
        self.patch(live_page, "sections", self.sections)
        self.page.start()

    def sections(self, overview: Overview) -> Sections:
        self.made += 1
        return sections(overview)

    def count(self, number: int) -> None:
        for _ in range(number):
            self.metrics.series(NO_ROUTE, "").finished(200, Outcome.OK, 0.1, None)

    def follow(self) -> Request:
        request = Request()
        self.page.follow(request)  # type: ignore[arg-type]
        return request

    def document(self) -> str:
        return self.successResultOf(self.page.document(can_sign_out=False)).decode()

    def test_the_page_before_there_is_a_configuration(self) -> None:
        self.assertIn("not serving", self.document())

    def test_the_page_shows_what_runs(self) -> None:
        self.status.adopted(adopt_conf(provider("first") + route_to("first")), 5.0)
        shown = self.document()
        self.assertIn("first.example", shown)
        self.assertIn('<option value="demo"></option><option value="first.example">', shown)
        self.status.adopted(adopt_conf(provider("other")), 6.0)
        self.assertIn("other.example", self.document())
        self.assertNotIn("first.example", self.document())

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
        def broken(_: Overview) -> Sections:
            raise ValueError("no page today")

        self.patch(live_page, "sections", broken)
        viewer = self.follow()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.patch(live_page, "sections", self.sections)
        self.clock.advance(WATCHED_SECONDS)
        self.assertEqual(len(viewer.heard()), 2)
