"""Exchanges that are redacted in a thread, one after the other."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.policy.redacting.content import Content, LookedFor, beginning_of
from gateway.serving import redactor
from gateway.serving.capturing import Gathered
from gateway.serving.redactor import STOP_SECONDS, Redactor
from gateway.serving.refusals import CLIENT_DIALECT
from gateway.telemetry.capture_log import CaptureLog, CaptureRecord
from gateway.telemetry.line_log import LineLog
from tests.fakes.outputs import FakeOutput
from tests.fakes.threads import Thread


def gathered(request_id: str, said: str = "me@example.org", response: Any = None) -> Gathered:
    record = CaptureRecord(request_id, "acme", "", "demo", "all", "a", "m", "ok", stream=False, time="now")
    request: Content = beginning_of(json.dumps([said]).encode(), 1000)
    return Gathered(record, request, response, 1000, LookedFor())


class RedactorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.output = FakeOutput()
        self.lines = LineLog("capture log", self.output, self.clock, are_safe=True)
        self.thread = Thread()
        self.redactor = Redactor(
            CaptureLog(self.lines, self.clock.seconds), self.thread.run, self.clock.seconds
        )

    def logged(self) -> list[dict[str, Any]]:
        self.lines.flush()
        return [json.loads(line) for line in self.output.lines()]

    def test_small_ones_together(self) -> None:
        for name in ("r1", "r2", "r3", "r4"):
            self.redactor.take(gathered(name, "x" * 20_000 if name == "r4" else "x"))
        for logged in (0, 1, 4):
            self.assertEqual(len(self.logged()), logged)
            if self.thread.given:
                self.thread.works()
        self.assertEqual([line["request_id"] for line in self.logged()], ["r1", "r2", "r3", "r4"])

    def test_one_after_the_other(self) -> None:
        self.patch(redactor, "TOGETHER_BYTES", 20)
        for name in ("r1", "r2", "r3"):
            self.redactor.take(gathered(name))
        for number in range(3):
            self.assertEqual(len(self.logged()), number)
            self.thread.works()
        self.assertEqual(self.thread.given, [])
        self.assertEqual([line["request_id"] for line in self.logged()], ["r1", "r2", "r3"])
        self.assertEqual({line["request"] for line in self.logged()}, {'["[email]"]'})

    def test_a_stream(self) -> None:
        joined = CLIENT_DIALECT.joined_stream(5000)
        for said in ("mail me@exa", "mple.org"):
            event = {"choices": [{"index": 0, "delta": {"content": said}}]}
            joined.feed(b"data: %b\n\n" % json.dumps(event).encode())
        self.redactor.take(gathered("r1", response=joined))
        self.thread.works()
        (line,) = self.logged()
        self.assertIn('"mail [email]"', line["response"])
        self.assertFalse(line["response_cut"])

    def test_there_is_room_for_so_many(self) -> None:
        self.patch(redactor, "MOST_WAITING", 50)
        self.patch(redactor, "TOGETHER_BYTES", 20)
        for name in ("r1", "r2", "r3", "r4"):  # the first does not wait
            self.redactor.take(gathered(name))
        for _ in range(3):
            self.thread.works()
        self.assertEqual([line["request_id"] for line in self.logged()], ["r1", "r2", "r3"])
        self.assertEqual(self.lines.lines_dropped, 1)

    def test_a_fault_of_our_own_is_one_line(self) -> None:
        self.patch(redactor, "kept", lambda *_: 1 / 0)
        self.redactor.take(gathered("r1"))
        self.redactor.take(gathered("r2"))
        self.thread.works()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.lines.lines_dropped, 1)
        self.patch(redactor, "kept", lambda *_: ("kept", False))
        self.thread.works()
        self.assertEqual([line["request_id"] for line in self.logged()], ["r2"])
        self.assertEqual(self.lines.lines_dropped, 1)

    def test_stopping_waits_for_what_can_be_done_soon(self) -> None:
        self.patch(redactor, "TOGETHER_BYTES", 20)
        self.successResultOf(self.redactor.stop())
        for name in ("r1", "r2", "r3"):
            self.redactor.take(gathered(name))
        stopped = self.redactor.stop()
        self.thread.works()
        self.assertNoResult(stopped)
        self.clock.advance(STOP_SECONDS)
        self.thread.works()
        self.successResultOf(stopped)
        self.assertEqual([line["request_id"] for line in self.logged()], ["r1", "r2"])
        self.assertEqual(self.lines.lines_dropped, 1)
