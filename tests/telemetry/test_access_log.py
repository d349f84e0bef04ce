"""What an operator reads of each exchange, and that nothing about the file harms a request."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import Secret
from gateway.telemetry.access_log import (
    COMPLAINT_SECONDS,
    FLUSH_BYTES,
    FLUSH_SECONDS,
    LONGEST_DETAIL,
    LONGEST_TEXT,
    MOST_WAITING,
    AccessLog,
    ExchangeRecord,
    Tried,
)
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.outcomes import Outcome

NOW = 1_795_000_000.125
"""2026-11-18T11:06:40.125Z"""

CLIENT_TEXTS = ("request_id", "method", "path", "host", "asked_model", "sent_model", "answered_model")


class FakeOutput(LineOutput):
    """An output whose state a test decides."""

    def __init__(self) -> None:
        self.path = "access.log"
        self.within_line = False
        self.written = b""
        self.writes = 0
        self.room: int | None = None
        self.error: OSError | None = None
        self.closed = False
        self.reopened = 0

    def write(self, data: bytes) -> int:
        self.writes += 1
        if self.error is not None:
            raise self.error
        taken = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= taken
        self.written += data[:taken]
        if taken:
            self.within_line = not self.written.endswith(b"\n")
        return taken

    def reopen(self) -> None:
        self.reopened += 1
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.written.decode().splitlines() if line]


class AccessLogTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.output = FakeOutput()
        self.log = AccessLog(self.output, self.clock, lambda: NOW)
        self.events = self.enterContext(capturedLogs())

    def written(self, record: ExchangeRecord) -> dict[str, object]:
        """The record's line."""
        self.log.write(record)
        self.log.flush()
        return self.output.lines()[-1]


class TheLineTests(AccessLogTestCase):
    def test_every_field_is_there_with_the_names_of_asm(self) -> None:
        line = self.written(
            ExchangeRecord(
                request_id="r1",
                tenant="acme",
                client="ci",
                route="demo",
                rule="vip-route",
                provider="dashscope-qwen",
                provider_host="dashscope.aliyuncs.com",
                method="POST",
                path="/",
                host="demo-llm-server",
                peer="127.0.0.1:5555",
                listener="egress",
                code=200,
                outcome=Outcome.OK,
                error="",
                asked_model="gpt-9",
                sent_model="qwen-turbo",
                answered_model="qwen-turbo-1",
                request_prompt_tokens=20,
                request_completion_tokens=100,
                stream=True,
                bytes_in=120,
                bytes_out=1000,
                duration_ms=812.4,
                time_to_head_ms=300.0,
                attempts=2,
                tried=[
                    Tried("other", "", "silent", None, 0.25),
                    Tried("dashscope-qwen", "main", "ok", 200, 0.5),
                ],
                provider_request_id="p1",
                detail="first provider reset",
            )
        )
        expected = {
            "request_id": "r1",
            "tenant": "acme",
            "client": "ci",
            "route": "demo",
            "rule": "vip-route",
            "provider": "dashscope-qwen",
            "provider_host": "dashscope.aliyuncs.com",
            "method": "POST",
            "path": "/",
            "host": "demo-llm-server",
            "peer": "127.0.0.1:5555",
            "listener": "egress",
            "code": 200,
            "outcome": "ok",
            "error": "",
            "asked_model": "gpt-9",
            "sent_model": "qwen-turbo",
            "answered_model": "qwen-turbo-1",
            "request_model": "qwen-turbo",
            "request_prompt_tokens": 20,
            "request_completion_tokens": 100,
            "stream": True,
            "bytes_in": 120,
            "bytes_out": 1000,
            "duration_ms": 812.4,
            "time_to_head_ms": 300.0,
            "attempts": 2,
            "tried": [
                {"provider": "other", "key": "", "outcome": "silent", "status": None, "seconds": 0.25},
                {"provider": "dashscope-qwen", "key": "main", "outcome": "ok", "status": 200, "seconds": 0.5},
            ],
            "provider_request_id": "p1",
            "detail": "first provider reset",
            "time": "2026-11-18T11:06:40.125Z",
        }
        self.assertEqual(line, expected)

    def test_the_time_goes_on(self) -> None:
        times = iter([NOW, NOW + 0.5, NOW + 0.875, NOW + 60.0])
        log = AccessLog(self.output, self.clock, lambda: next(times))
        for _ in range(4):
            log.write(ExchangeRecord())
        log.flush()
        self.assertEqual(
            [line["time"] for line in self.output.lines()],
            [
                "2026-11-18T11:06:40.125Z",
                "2026-11-18T11:06:40.625Z",
                "2026-11-18T11:06:41.000Z",
                "2026-11-18T11:07:40.125Z",
            ],
        )

    def test_an_empty_record(self) -> None:
        line = self.written(ExchangeRecord())
        self.assertIsNone(line["request_prompt_tokens"])
        self.assertEqual(line["asked_model"], "")

    def test_long_texts_are_cut(self) -> None:
        for name in (*CLIENT_TEXTS, "provider_request_id"):
            for length in (LONGEST_TEXT, LONGEST_TEXT + 1, 1_000_000):
                record = ExchangeRecord()
                setattr(record, name, "x" * length)
                self.assertEqual(self.written(record)[name], "x" * LONGEST_TEXT)
        self.assertEqual(
            self.written(ExchangeRecord(detail="x" * 2000))["detail"],
            "x" * LONGEST_DETAIL,
        )

    def test_several_long_texts(self) -> None:
        record = ExchangeRecord(path="p" * 300, host="h" * 300, asked_model="m" * 300)
        line = self.written(record)
        self.assertEqual((line["path"], line["host"], line["asked_model"]), ("p" * 256, "h" * 256, "m" * 256))

    def test_no_text_can_make_a_line_or_move_a_cursor(self) -> None:
        hostile = 'a\r\nb\x00\x1b[2Jc"\\d\x7fe\x85f\x9b2Jg\u2028h\u2029i\u202ej\u2066k\ufeffl\u200bm'
        line = self.written(ExchangeRecord(path=hostile, asked_model=hostile))
        self.assertEqual(line["path"], hostile)
        self.assertEqual(line["asked_model"], hostile)
        text = self.output.written.decode()
        self.assertEqual(len(text.splitlines()), 1)
        unsafe = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2066\ufeff\u200b]"
        self.assertIsNone(re.search(unsafe, text))

    def test_delete_alone(self) -> None:
        self.written(ExchangeRecord(path="/a\x7fb"))
        self.assertIn(rb"/a\u007fb", self.output.written)

    def test_a_name_in_another_script_stays_readable(self) -> None:
        self.written(ExchangeRecord(rule="订阅"))
        self.assertIn("订阅", self.output.written.decode())

    def test_half_a_character(self) -> None:
        line = self.written(ExchangeRecord(asked_model="a\ud800b", answered_model="c"))
        self.assertEqual(line["asked_model"], "a?b")
        self.assertEqual(line["answered_model"], "c")

    def test_a_secret_is_not_shown(self) -> None:
        canary = Secret("sk-canary-1234567890")
        self.written(ExchangeRecord(detail=f"{canary} {canary!r} {canary!s}"))
        self.assertNotIn(b"canary", self.output.written)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_gives_one_line_that_can_be_read_back(model: str, detail: str) -> None:
    output = FakeOutput()
    log = AccessLog(output, Clock(), lambda: NOW)
    log.write(ExchangeRecord(asked_model=model, detail=detail))
    log.flush()
    assert len(output.written.decode().splitlines()) == 1
    line = json.loads(output.written)
    assert line["asked_model"] == model[:LONGEST_TEXT]
    assert line["detail"] == detail[:LONGEST_DETAIL]


class GatheringTests(AccessLogTestCase):
    def test_lines_are_written_together_after_a_while(self) -> None:
        self.log.write(ExchangeRecord(request_id="a"))
        self.clock.advance(FLUSH_SECONDS / 2)
        self.log.write(ExchangeRecord(request_id="b"))
        self.assertEqual(self.output.writes, 0)
        self.clock.advance(FLUSH_SECONDS / 2)
        self.assertEqual(self.output.writes, 1)
        self.assertEqual([line["request_id"] for line in self.output.lines()], ["a", "b"])

    def test_many_lines_do_not_wait(self) -> None:
        while not self.output.writes:
            self.log.write(ExchangeRecord(detail="x" * 1000))
        self.assertGreaterEqual(len(self.output.written), FLUSH_BYTES)
        self.assertLess(len(self.output.written), FLUSH_BYTES + 2000)

    def test_no_timer_runs_while_nothing_waits(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.log.write(ExchangeRecord())
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_writes_what_waits(self) -> None:
        self.log.write(ExchangeRecord(request_id="last"))
        self.log.stop()
        self.assertEqual([line["request_id"] for line in self.output.lines()], ["last"])
        self.assertTrue(self.output.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_line_after_the_stop_is_dropped(self) -> None:
        self.log.stop()
        self.log.write(ExchangeRecord())
        self.assertEqual(self.log.lines_dropped, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reopening_writes_what_waits_to_the_old_file(self) -> None:
        self.log.write(ExchangeRecord())
        self.log.reopen()
        self.assertEqual((self.output.writes, self.output.reopened), (1, 1))

    def test_reopening_that_fails_is_said(self) -> None:
        self.output.error = PermissionError(13, "Permission denied")
        self.log.reopen()
        self.assertEqual(len(self.events), 1)
        self.assertEqual(self.events[0]["reason"], "Permission denied")


class FailingOutputTests(AccessLogTestCase):
    def test_lines_are_dropped_counted_and_mentioned_once(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        for _ in range(3):
            self.log.write(ExchangeRecord())
            self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.log.lines_dropped, 3)
        self.assertEqual([event["reason"] for event in self.events], ["No space left on device"])

    def test_it_is_mentioned_again_after_a_while(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        for _ in range(2):
            self.log.write(ExchangeRecord())
            self.log.flush()
            self.clock.advance(COMPLAINT_SECONDS)
        self.assertEqual([event["lines"] for event in self.events], [1, 2])

    def test_it_goes_on_when_there_is_room_again(self) -> None:
        self.output.error = OSError(28, "No space left on device")
        self.log.write(ExchangeRecord(request_id="lost"))
        self.log.flush()
        self.output.error = None
        self.log.write(ExchangeRecord(request_id="kept"))
        self.log.flush()
        self.assertEqual([line["request_id"] for line in self.output.lines()], ["kept"])

    def test_a_line_that_was_cut_does_not_run_into_the_next(self) -> None:
        self.output.room = 10
        self.log.write(ExchangeRecord(request_id="cut"))
        self.log.flush()
        self.output.error = OSError(28, "No space left on device")
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual(self.log.lines_dropped, 1)
        self.log.write(ExchangeRecord(request_id="lost"))
        self.log.flush()
        self.assertEqual(self.log.lines_dropped, 2)
        self.output.error = self.output.room = None
        self.log.write(ExchangeRecord(request_id="whole"))
        self.log.flush()
        cut, whole = self.output.written.split(b"\n")[:2]
        self.assertEqual(len(cut), 10)
        self.assertEqual(json.loads(whole)["request_id"], "whole")

    def test_a_slow_reader_gets_everything_in_the_end(self) -> None:
        self.output.room = 10
        self.log.write(ExchangeRecord(request_id="a"))
        self.clock.advance(FLUSH_SECONDS)
        self.log.write(ExchangeRecord(request_id="b"))
        self.output.room = None
        self.clock.advance(FLUSH_SECONDS)
        self.assertEqual([line["request_id"] for line in self.output.lines()], ["a", "b"])
        self.assertEqual(self.log.lines_dropped, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_reader_that_has_stopped_costs_no_more_than_so_much_memory(self) -> None:
        self.output.room = 0
        record = ExchangeRecord(detail="x" * 1000)
        for _ in range(2000):
            self.log.write(record)
        self.assertLessEqual(self.output.writes, 2)
        self.assertEqual(len(self.events), 1)
        dropped = self.log.lines_dropped
        self.output.room = None
        self.log.stop()
        self.assertEqual(len(self.output.lines()), 2000 - dropped)
        self.assertLessEqual(len(self.output.written), MOST_WAITING)

    def test_stopping_while_the_reader_is_stuck(self) -> None:
        self.output.room = 10
        for _ in range(3):
            self.log.write(ExchangeRecord())
        self.log.stop()
        self.assertEqual(self.log.lines_dropped, 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])


def test_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(LineOutput(str(path)), Clock(), lambda: NOW)
    log.write(ExchangeRecord(request_id="r1"))
    log.stop()
    assert json.loads(path.read_text("utf-8"))["request_id"] == "r1"


def test_to_a_full_disk() -> None:
    log = AccessLog(LineOutput("/dev/full"), Clock(), lambda: NOW)
    log.write(ExchangeRecord())
    log.stop()
    assert log.lines_dropped == 1
