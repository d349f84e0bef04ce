"""Tracing switched on and off, without a collector; `tests/whole/test_tracing.py` has one."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import HiddenText, Secret
from gateway.resources.tracing import TracingSettings
from gateway.telemetry.otlp import BATCH, MOST_WAITING, traces_url
from gateway.telemetry.traces import Trace
from gateway.telemetry.tracing import LATE_SECONDS, STOP_SECONDS, Tracing, _Way
from tests.fakes.heads import request_head

NOWHERE = TracingSettings("http://127.0.0.1:9", {}, 1.0)


class Reactor(Clock):
    """Does what threads ask for when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Callable[[], Any]] = []
        self.was_asked: Callable[[], None] = lambda: None
        """Called when a thread has asked for something."""

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:  # noqa: N802 -- Twisted's
        self.asked.append(lambda: call(*arguments))
        self.was_asked()


class TracingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.tracing = Tracing(self.reactor)
        self.before = set(enumerate_threads())
        self.addCleanup(self.no_thread_is_left)
        self.events = self.enterContext(capturedLogs())
        self.read = 0

    def no_thread_is_left(self) -> None:
        """One that still tries would disturb the tests that follow: it draws random numbers."""
        self.tracing.stop()
        self.reactor.advance(STOP_SECONDS)
        for thread in set(enumerate_threads()) - self.before:
            thread.join(20.0)
            self.assertFalse(thread.is_alive(), thread.name)

    def said(self) -> list[str]:
        """What the log says since this was asked last."""
        new, self.read = self.events[self.read :], len(self.events)
        said = [event["log_format"].format(**event) for event in new if "log_format" in event]
        return [line for line in said if line.startswith(("tracing", "no tracing"))]

    def test_nothing_unless_somebody_wants_it(self) -> None:
        self.assertIsNone(self.tracing.current.tracer)
        self.tracing.adopt(None, at_once=True)
        self.assertIsNone(self.tracing.current.tracer)
        self.assertIsNone(self.successResultOf(self.tracing.stop()))
        self.assertEqual(self.said(), [])

    def begun(self) -> Trace:
        """The trace of an exchange that begins."""
        tracer = self.tracing.current.tracer
        assert tracer is not None
        return tracer.begin(request_head(b"POST", b"/", b"", "demo", [], 0, False), 0.0)

    def closed(self) -> None:
        """Wait until a thread has closed a pipeline, and let the reactor know of it."""
        asked = Event()
        self.reactor.was_asked = asked.set
        if not self.reactor.asked:
            self.assertTrue(asked.wait(20.0))
        for call in self.asked():
            call()

    def asked(self) -> list[Callable[[], Any]]:
        calls, self.reactor.asked = self.reactor.asked, []
        return calls

    def test_what_has_not_changed_goes_on(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        tracer = self.tracing.current.tracer
        self.assertIsNotNone(tracer)
        self.assertEqual(self.said(), ["tracing: spans go to http://127.0.0.1:9"])
        self.tracing.adopt(TracingSettings("http://127.0.0.1:9", {}, 1.0), at_once=False)
        self.assertIs(self.tracing.current.tracer, tracer)
        self.tracing.adopt(None, at_once=False)
        self.assertIsNone(self.tracing.current.tracer)

    def test_another_share_counts_from_the_next_exchange_on_and_goes_the_same_way(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        before = self.begun()
        self.tracing.adopt(TracingSettings("http://127.0.0.1:9", {}, 0.0), at_once=False)
        self.assertFalse(self.begun().is_recorded)
        self.tracing.adopt(NOWHERE, at_once=False)
        self.assertTrue(self.begun().is_recorded)
        before.tell("chat", 0.0, 1.0, {}, failed=False)
        self.assertEqual((self.way.pipeline.waiting, self.tracing.spans_lost), (1, 0))
        self.assertEqual(self.said(), ["tracing: spans go to http://127.0.0.1:9"])

    def test_other_credentials_are_another_way(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        tracer = self.tracing.current.tracer
        self.tracing.adopt(TracingSettings("http://127.0.0.1:9", {"x": Secret("s")}, 1.0), at_once=False)
        self.assertIsNot(self.tracing.current.tracer, tracer)

    @property
    def way(self) -> _Way:
        way = self.tracing._way
        assert way is not None
        return way

    def test_a_way_is_left_open_for_exchanges_that_are_under_way(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        trace, way = self.begun(), self.way
        self.tracing.adopt(None, at_once=False)
        for call in self.asked():
            call()
        self.reactor.advance(LATE_SECONDS - 1)
        trace.tell("chat", 0.0, 1.0, {}, failed=False)
        self.assertIsNone(way.closed)
        self.assertEqual((way.pipeline.waiting, self.tracing.spans_lost), (1, 0))
        del trace
        for call in self.asked():
            call()
        self.assertIsNotNone(way.closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_where_nobody_is_under_way_nothing_stays_open(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        way = self.way
        self.tracing.adopt(None, at_once=False)
        for call in self.asked():
            call()
        assert way.closed is not None
        self.closed()
        self.assertIsNone(self.successResultOf(way.closed))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertIsNone(self.successResultOf(self.tracing.stop()))

    def test_who_takes_too_long_loses_its_spans_which_is_counted_and_said(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        trace, way = self.begun(), self.way
        self.tracing.adopt(None, at_once=False)
        self.said()
        self.reactor.advance(LATE_SECONDS)
        assert way.closed is not None
        self.closed()
        for _ in range(2):
            trace.tell("chat", 0.0, 1.0, {}, failed=False)
        self.assertEqual(self.tracing.spans_lost, 2)
        (line,) = self.said()
        self.assertRegex(line, "1 are lost so far: `tracing` was changed more than 600 s before")

    def test_the_sdk_is_imported_beside_the_reactor(self) -> None:
        self.patch(sys, "modules", {**sys.modules})
        del sys.modules["gateway.telemetry.otlp"]
        imported = Event()
        self.patch(self.reactor, "was_asked", imported.set)
        self.tracing.adopt(NOWHERE, at_once=False)
        self.assertIsNone(self.tracing.current.tracer)
        self.assertTrue(imported.wait(20.0))
        self.assertIsNone(self.tracing.current.tracer)
        self.reactor.asked.pop()()
        self.assertIsNotNone(self.tracing.current.tracer)

    def test_what_has_been_taken_back_meanwhile_is_not_begun(self) -> None:
        self.patch(sys, "modules", {**sys.modules})
        del sys.modules["gateway.telemetry.otlp"]
        imported = Event()
        self.patch(self.reactor, "was_asked", imported.set)
        self.tracing.adopt(NOWHERE, at_once=False)
        self.assertTrue(imported.wait(20.0))
        self.tracing.adopt(None, at_once=False)
        self.reactor.asked.pop()()
        self.assertIsNone(self.tracing.current.tracer)

    def test_a_collector_that_is_too_slow_holds_up_no_stop(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        stopped = self.tracing.stop()
        self.assertNoResult(stopped)
        self.reactor.advance(STOP_SECONDS)
        self.assertIsNone(self.successResultOf(stopped))

    def test_what_a_collector_has_not_taken_when_there_is_no_more_time_is_lost(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            self.tracing.adopt(TracingSettings(endpoint, {}, 1.0), at_once=True)
            trace = self.begun()
            for _ in range(2 * BATCH):
                trace.tell("chat", 0.0, 1.0, {}, failed=False)
            with silent.accept()[0]:  # the first batch, which is not answered
                self.said()
                self.tracing.stop()
                self.reactor.advance(STOP_SECONDS)
        self.assertEqual(self.tracing.spans_lost, 2 * BATCH)
        self.assertEqual(
            self.said(),
            [
                f"tracing: the collector {endpoint} does not take all spans, {2 * BATCH} are lost so far: "
                "it is too slow"
            ],
        )

    def test_what_is_taken_and_what_is_lost_is_counted(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        trace = self.begun()
        self.tracing._batch_ended(self.way.losses, 5, None)
        self.tracing._batch_ended(self.way.losses, 3, "it answers 503")
        for _ in range(MOST_WAITING + BATCH + 4):
            trace.tell("chat", 0.0, 1.0, {}, failed=False)
        self.assertEqual(self.tracing.spans_exported, 5)
        self.assertGreaterEqual(self.tracing.spans_lost, 3 + 4)

    def test_an_address_from_outside_is_not_shown(self) -> None:
        hidden = TracingSettings(HiddenText("http://127.0.0.1:9"), {"x": Secret("s")}, 1.0)
        self.tracing.adopt(hidden, at_once=True)
        self.assertEqual(self.said(), ["tracing: spans go to (hidden)"])


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://api.example/otlp/v1/traces", "https://api.example/otlp/v1/traces"),
    ],
)
def test_where_spans_are_posted(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url
