"""The line of an exchange that is kept."""

from __future__ import annotations

import json

from twisted.internet.task import Clock

from gateway.telemetry.capture_log import CaptureLog, CaptureRecord
from gateway.telemetry.line_log import LineLog
from tests.fakes.outputs import FakeOutput


def test_the_line() -> None:
    output = FakeOutput()
    lines = LineLog("capture log", output, Clock())
    record = CaptureRecord(
        request_id="r1",
        tenant="acme",
        client="ci",
        route="demo",
        rule="vip",
        provider="a",
        model="m",
        outcome="ok",
        stream=False,
        request='{"messages":[]}\x1b[2J\u2028',
        request_cut=False,
        response=None,
        response_cut=False,
    )
    CaptureLog(lines, lambda: 1_795_000_000.125).write(record)
    lines.stop()
    (line,) = output.lines()
    assert b"\x1b" not in line
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == {
        "request_id": "r1",
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
