"""What an operator reads of each exchange."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.messages import Secret
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.exchange_record import (
    LONGEST_DETAIL,
    LONGEST_TEXT,
    NO_NAMES,
    ExchangeNames,
    ExchangeRecord,
    Tried,
)
from gateway.telemetry.line_log import LineLog
from gateway.telemetry.line_output import LineOutput
from gateway.telemetry.outcomes import Outcome
from tests.fakes.outputs import FakeOutput

NOW = 1_795_000_000.125
"""2026-11-18T11:06:40.125Z"""

CLIENT_NAMES = ("method", "path", "host")

TEXTS = ("request_id", "asked_model", "sent_model", "request_model", "answered_model", "provider_request_id")
"""What a client or a provider may have written."""


class AccessLogTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.output = FakeOutput()
        self.lines = LineLog("access log", self.output, self.clock)
        self.log = AccessLog(self.lines, lambda: NOW)

    def written(self, record: ExchangeRecord, names: ExchangeNames = NO_NAMES) -> dict[str, object]:
        """The line of both."""
        self.log.write(names, record)
        self.lines.flush()
        return self.read()[-1]

    def read(self) -> list[dict[str, object]]:
        """What was written."""
        return [json.loads(line) for line in self.output.lines()]


class TheLineTests(AccessLogTestCase):
    def test_every_field_is_there_with_the_names_of_asm(self) -> None:
        line = self.written(
            ExchangeRecord(
                request_id="r1",
                trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
                code=200,
                outcome=Outcome.OK,
                error="",
                asked_model="gpt-9",
                sent_model="qwen-turbo",
                request_model="qwen-turbo",
                answered_model="qwen-turbo-1",
                request_prompt_tokens=20,
                request_completion_tokens=100,
                cached_input_tokens=5,
                reasoning_tokens=60,
                usage_estimated=True,
                cost=0.0012,
                currency="USD",
                stream=True,
                bytes_in=120,
                bytes_out=1000,
                duration_ms=812.4,
                overhead_ms=0.061,
                time_to_head_ms=300.0,
                time_to_first_token_ms=301.5,
                time_per_output_token_ms=5.1,
                attempts=2,
                tried=(
                    Tried("other", "", "silent", None, 0.25),
                    Tried("dashscope-qwen", "main", "ok", 200, 0.5, after=0.25),
                ),
                provider_request_id="p1",
                detail="first provider reset",
            ),
            ExchangeNames(
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
            ),
        )
        expected = {
            "request_id": "r1",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
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
            "cached_input_tokens": 5,
            "reasoning_tokens": 60,
            "usage_estimated": True,
            "cost": 0.0012,
            "currency": "USD",
            "stream": True,
            "bytes_in": 120,
            "bytes_out": 1000,
            "duration_ms": 812.4,
            "overhead_ms": 0.061,
            "time_to_head_ms": 300.0,
            "time_to_first_token_ms": 301.5,
            "time_per_output_token_ms": 5.1,
            "attempts": 2,
            "tried": [
                {
                    "provider": "other",
                    "key": "",
                    "outcome": "silent",
                    "status": None,
                    "seconds": 0.25,
                    "after": None,
                },
                {
                    "provider": "dashscope-qwen",
                    "key": "main",
                    "outcome": "ok",
                    "status": 200,
                    "seconds": 0.5,
                    "after": 0.25,
                },
            ],
            "provider_request_id": "p1",
            "detail": "first provider reset",
            "time": "2026-11-18T11:06:40.125Z",
        }
        self.assertEqual(line, expected)

    def test_the_time_goes_on(self) -> None:
        times = iter([NOW, NOW + 0.5, NOW + 0.875, NOW + 60.0])
        log = AccessLog(self.lines, lambda: next(times))
        for _ in range(4):
            log.write(NO_NAMES, ExchangeRecord())
        self.lines.flush()
        self.assertEqual(
            [line["time"] for line in self.read()],
            [
                "2026-11-18T11:06:40.125Z",
                "2026-11-18T11:06:40.625Z",
                "2026-11-18T11:06:41.000Z",
                "2026-11-18T11:07:40.125Z",
            ],
        )

    def test_names_are_written_once_and_said_in_every_line(self) -> None:
        names = ExchangeNames(tenant="acme", path="/a")
        first, again = self.written(ExchangeRecord(), names), self.written(ExchangeRecord(code=200), names)
        self.assertEqual([first["tenant"], again["tenant"], again["path"]], ["acme", "acme", "/a"])
        self.assertEqual((first["code"], again["code"]), (0, 200))
        other = self.written(ExchangeRecord(), ExchangeNames(tenant="other"))
        self.assertEqual((other["tenant"], other["path"]), ("other", ""))

    def test_an_empty_record(self) -> None:
        line = self.written(ExchangeRecord())
        self.assertIsNone(line["request_prompt_tokens"])
        self.assertEqual(line["asked_model"], "")

    def test_long_texts_are_cut(self) -> None:
        for length in (LONGEST_TEXT, LONGEST_TEXT + 1, 1_000_000):
            for name in TEXTS:
                record = ExchangeRecord()
                setattr(record, name, "x" * length)
                self.assertEqual(self.written(record)[name], "x" * LONGEST_TEXT)
            for name in CLIENT_NAMES:
                names = ExchangeNames()
                setattr(names, name, "x" * length)
                self.assertEqual(self.written(ExchangeRecord(), names)[name], "x" * LONGEST_TEXT)
        self.assertEqual(
            self.written(ExchangeRecord(detail="x" * 2000))["detail"],
            "x" * LONGEST_DETAIL,
        )

    def test_several_long_texts(self) -> None:
        names = ExchangeNames(path="p" * 300, host="h" * 300)
        line = self.written(ExchangeRecord(asked_model="m" * 300), names)
        self.assertEqual((line["path"], line["host"], line["asked_model"]), ("p" * 256, "h" * 256, "m" * 256))

    def test_no_text_can_make_a_line_or_move_a_cursor(self) -> None:
        hostile = 'a\r\nb\x00\x1b[2Jc"\\d\x7fe\x85f\x9b2Jg\u2028h\u2029i\u202ej\u2066k\ufeffl\u200bm'
        line = self.written(ExchangeRecord(asked_model=hostile), ExchangeNames(path=hostile))
        self.assertEqual(line["path"], hostile)
        self.assertEqual(line["asked_model"], hostile)
        text = self.output.written.decode()
        self.assertEqual(len(text.splitlines()), 1)
        unsafe = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2066\ufeff\u200b]"
        self.assertIsNone(re.search(unsafe, text))

    def test_delete_alone(self) -> None:
        self.written(ExchangeRecord(), ExchangeNames(path="/a\x7fb"))
        self.assertIn(rb"/a\u007fb", self.output.written)

    def test_a_name_in_another_script_stays_readable(self) -> None:
        self.written(ExchangeRecord(), ExchangeNames(rule="订阅"))
        self.assertIn("订阅", self.output.written.decode())

    def test_half_a_character(self) -> None:
        record = ExchangeRecord(asked_model="a\ud800b", answered_model="c")
        line = self.written(record, ExchangeNames(rule="d\udfffe"))
        self.assertEqual(line["rule"], "d?e")
        self.assertEqual(line["asked_model"], "a?b")
        self.assertEqual(line["answered_model"], "c")

    def test_a_secret_is_not_shown(self) -> None:
        canary = Secret("sk-canary-1234567890")
        self.written(ExchangeRecord(detail=f"{canary} {canary!r} {canary!s}"))
        self.assertNotIn(b"canary", self.output.written)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_gives_one_line_that_can_be_read_back(model: str, detail: str) -> None:
    output = FakeOutput()
    lines = LineLog("access log", output, Clock())
    AccessLog(lines, lambda: NOW).write(NO_NAMES, ExchangeRecord(asked_model=model, detail=detail))
    lines.flush()
    assert len(output.written.decode().splitlines()) == 1
    line = json.loads(output.written)
    assert line["asked_model"] == model[:LONGEST_TEXT]
    assert line["detail"] == detail[:LONGEST_DETAIL]


def test_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lines = LineLog("access log", LineOutput(str(path)), Clock())
    AccessLog(lines, lambda: NOW).write(NO_NAMES, ExchangeRecord(request_id="r1"))
    lines.stop()
    assert json.loads(path.read_text("utf-8"))["request_id"] == "r1"
