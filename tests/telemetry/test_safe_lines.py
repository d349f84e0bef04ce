"""Lines that stay lines, and that no terminal acts upon."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.safe_lines import TimeTexts, safe_json, safe_text

UNSAFE = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"


@given(st.text())
def test_json_says_the_same(text: str) -> None:
    line = safe_json(json.dumps(text, ensure_ascii=False).encode(errors="replace")).decode()
    assert len(line.splitlines()) == 1
    assert re.search(UNSAFE, line) is None
    assert json.loads(line) == text.encode(errors="replace").decode()


def test_text_keeps_its_lines() -> None:
    assert safe_text("a\n\tb\x1b[2J\x7f\u202e\r\n") == "a\n\tb\\u001b[2J\\u007f\\u202e\\u000d\n"


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_000_000.125, "2026-11-18T11:06:40.125Z"),
        (1_795_000_000.9999, "2026-11-18T11:06:40.999Z"),
    ],
)
def test_times(now: float, text: str) -> None:
    assert TimeTexts().of(now) == text
