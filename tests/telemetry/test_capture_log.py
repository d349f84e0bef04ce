"""The line of an exchange that is kept."""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import Clock

from gateway.telemetry.capture_log import CaptureLog, CaptureRecord, line_of
from gateway.telemetry.line_log import LineLog
from tests.fakes.outputs import FakeOutput


def record(request: str | None) -> CaptureRecord:
    return CaptureRecord(
        request_id="r1\x7f",
        tenant="acme",
        client="ci",
        route="demo",
        rule="vip",
        provider="a",
        model="m",
        outcome="ok",
        stream=False,
        request=request,
        time="2026-11-18T11:06:40.125Z",
    )


def test_the_line() -> None:
    output = FakeOutput()
    lines = LineLog("capture log", output, Clock(), are_safe=True)
    log = CaptureLog(lines, lambda: 1_795_000_000.125)
    assert log.time() == "2026-11-18T11:06:40.125Z"
    log.write(line_of(record('{"messages":[]}\x1b[2J\u2028')))
    lines.stop()
    (line,) = output.lines()
    assert b"\x1b" not in line
    assert b"\x7f" not in line
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {
        "request_id": "r1\x7f",
        "tenant": "acme",
        "client": "ci",
        "route": "demo",
        "rule": "vip",
        "provider": "a",
        "model": "m",
        "outcome": "ok",
        "stream": False,
        "request": '{"messages":[]}\x1b[2J\u2028',
        "request_cut": False,
        "response": None,
        "response_cut": False,
        "time": "2026-11-18T11:06:40.125Z",
    }


@pytest.mark.parametrize("text", ["", "x" * 100_000, '"\\\n\u2028é名😀' * 10_000])
def test_long_texts_are_put_together(text: str) -> None:
    assert json.loads(line_of(record(text)))["request"] == text


def test_lines_that_there_will_not_be() -> None:
    lines = LineLog("capture log", FakeOutput(), Clock())
    CaptureLog(lines, lambda: 0.0).lose("it is too much")
    assert lines.lines_dropped == 1
