"""Tracing switched on and off, without a collector; `tests/whole/test_tracing.py` has one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import HiddenText, Secret
from gateway.resources.tracing import TracingSettings
from gateway.telemetry.otlp import traces_url
from gateway.telemetry.tracing import COMPLAINT_SECONDS, STOP_SECONDS, Tracing

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
        self.addCleanup(self.tracing.stop)
        self.events = self.enterContext(capturedLogs())
        self.read = 0

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

    def test_what_has_not_changed_goes_on(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        tracer = self.tracing.current.tracer
        self.assertIsNotNone(tracer)
        self.assertEqual(self.said(), ["tracing: spans go to http://127.0.0.1:9"])
        self.tracing.adopt(TracingSettings("http://127.0.0.1:9", {}, 1.0), at_once=False)
        self.assertIs(self.tracing.current.tracer, tracer)
        self.tracing.adopt(TracingSettings("http://127.0.0.1:9", {}, 0.5), at_once=False)
        self.assertIsNot(self.tracing.current.tracer, tracer)
        self.tracing.adopt(None, at_once=False)
        self.assertIsNone(self.tracing.current.tracer)

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

    def test_complaints_are_few_and_count(self) -> None:
        def lose(spans: int, complaint: str | None = "it answers 503") -> list[str]:
            self.tracing.batch_ended("http://collector", spans, complaint)
            return self.said()

        self.assertEqual(
            lose(3),
            [
                "tracing: the collector http://collector does not take all spans, 3 are lost so far: "
                "it answers 503"
            ],
        )
        self.assertEqual(lose(4), [])
        self.reactor.advance(COMPLAINT_SECONDS)
        self.assertEqual(lose(5, None), [])
        (line,) = lose(5)
        self.assertIn(" 12 are lost so far", line)
        self.assertEqual((self.tracing.spans_exported, self.tracing.spans_lost), (5, 12))

    def test_what_found_the_queue_full_is_lost(self) -> None:
        self.tracing.adopt(NOWHERE, at_once=True)
        pipeline = self.tracing._pipeline
        assert pipeline is not None
        pipeline.dropped = 4
        self.tracing.batch_ended("http://collector", 3, None)
        self.assertEqual((self.tracing.spans_exported, self.tracing.spans_lost), (3, 4))
        pipeline.dropped = 2
        self.tracing.adopt(None, at_once=True)
        self.assertEqual(self.tracing.spans_lost, 6)

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
